"""The contract of price sources and of those who say what this host is.

A price source is one file in ``price_sources/`` with a class ``Options`` (a frozen msgspec.Struct
that forbids unknown fields, all with defaults) and ``make_source(options, context)``. One that
says what this host is, is one file in ``identity/`` with ``identify(context, deadline)``.
Third parties' price sources come by the entry point group ``unitcost.price_sources``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from unitcost.pricing.quote import HostIdentity, Quote
from unitcost.pricing.resolve import Rank


class PriceSourceError(Exception):
    """A source could not be read; the text says why, in one line without a secret."""


class NotHere(Exception):
    """The host is none of those this one knows: not an error."""


@dataclass(frozen=True, slots=True)
class SourceContext:
    """What a source may need. `folder`: what paths in the configuration are relative to.

    `wall_ns` tells the time (Unix time, nanoseconds), `node_name` the Kubernetes node's name.
    """

    folder: Path
    wall_ns: Callable[[], int]
    node_name: str = ""
    service_account: str = "/var/run/secrets/kubernetes.io/serviceaccount"


class PriceSource(Protocol):
    """Says what hosts cost. Called in a thread of its own, seldom, never by two at once.

    It may also have ``dropped``: how many rows of its last answer were left out, by reason;
    ``patience_seconds``: how long one call may take, where that is longer than others need;
    ``local``: that it asks nobody, but reads files of this host alone; ``host_only``: that it says
    what this very host costs, whatever its type, so that it is asked of no other; and
    ``quotes_of(identities, deadline)``: as `quotes`, of several hosts of one provider, place and
    terms at once, for a source that reads one long list for all. What cannot be told of others
    than the first is then left out.
    """

    name: str
    rank: Rank
    refresh_seconds: float

    def quotes(self, identity: HostIdentity, deadline: float) -> Sequence[Quote]:
        """All quotes that may be this host's, and those a careless reader would take for it.

        `deadline` is an instant of ``time.monotonic()``. Every quote carries when it was stated
        and learnt. Raises PriceSourceError (then the last quotes stay, with their date) and
        NotHere where the host is not of the source's provider.
        """
        ...


MakeSource = Callable[[Any, SourceContext], PriceSource]
"""``make_source(options, context)``; `options` is an instance of the module's ``Options``."""
Identify = Callable[[SourceContext, float], HostIdentity]
"""``identify(context, deadline)``; raises NotHere. Fields it does not know are empty."""
