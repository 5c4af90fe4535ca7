"""What a tick leaves for the live page, from which the document is made if anybody asks."""

from dataclasses import dataclass, field

from unitcost.exporter.config.settings import Price
from unitcost.exporter.prices.looked import Looked
from unitcost.exporter.serving.live.history import Past
from unitcost.exporter.serving.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class About:
    """What the configuration says of this exporter, and how far it is.

    `reason`: in one line why it is not ready, where it is not. `looked`: what was found of the
    price where it is looked up.
    """

    name: str = ""
    scope: str = "host"
    version: str = ""
    period_seconds: float = 5.0
    time_scale: float = 1.0
    minimum_units: float = 1.0
    price: Price = field(default_factory=Price)
    looked: Looked | None = None
    ready: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """Everything the document is made from; unchangeable, so that any thread may make it.

    `started_ns` tells one process from another, `tick` one state of it from the next.
    """

    tick: int
    started_ns: int
    snapshot: Snapshot
    past: Past
    about: About

    @property
    def etag(self) -> str:
        """Names this state of the document (RFC 9110, 8.8.3); weak, for it may be compressed."""
        return f'W/"{self.started_ns:x}-{self.tick}"'
