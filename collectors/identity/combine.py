"""Finds out what this host is: asks everybody who may know, at once, and puts it together.

It blocks for as long as the slowest takes (a second for the clouds, five for the API server), so
it is called in a thread of its own.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from unitcost.collectors.base import Problem
from unitcost.collectors.identity import aws, azure, gcp, node_labels
from unitcost.collectors.identity.firmware import FOLDER, Firmware, firmware
from unitcost.collectors.identity.metadata import LIMIT
from unitcost.collectors.price_contract import Identify, NotHere, PriceSourceError, SourceContext
from unitcost.pricing.identity import (
    AWS,
    AZURE,
    CONFIGURATION,
    GCP,
    METADATA,
    NODE_LABELS,
    Statement,
    combine,
)
from unitcost.pricing.quote import HostIdentity

PROBLEM = "identity"
"""The kind of all problems told of here."""

CLOUDS: Mapping[str, Identify] = {AWS: aws.identify, GCP: gcp.identify, AZURE: azure.identify}

_GRACE = 0.05
"""Seconds after the deadline until an answer is no longer waited for."""

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Identified:
    """What this host is, and what was in the way of knowing more."""

    identity: HostIdentity
    problems: tuple[Problem, ...] = ()


class WhoAmI:
    """Remembers what was found out, for as long as the process lives. For one thread at a time.

    A cloud that told who we are is not asked again. Nor is any where none answered, unless the
    firmware says that this is a machine of that cloud: then its service was not ready yet. The
    node is asked for each time, since its labels may change; if that fails the last ones hold.
    `configured` is what the configuration says, empty where it does not; without `ask_clouds` no
    metadata service is asked at all.
    """

    def __init__(
        self,
        context: SourceContext,
        configured: HostIdentity | None = None,
        firmware_folder: str = FOLDER,
        *,
        ask_clouds: bool = True,
    ) -> None:
        self._context = context
        self._configured = configured or HostIdentity()
        self._folder = firmware_folder
        self._clouds_done = not ask_clouds
        self._metadata: Statement | None = None
        self._node: Statement | None = None

    def identify(self, deadline: float) -> Identified:
        """Ask and put together; `deadline` is an instant of ``time.monotonic()``. Never raises."""
        machine = Firmware((), sure=True) if self._clouds_done else firmware(self._folder)
        whole = deadline - time.monotonic() >= LIMIT
        calls: dict[str, Callable[[], Statement]] = {
            cloud: self._cloud(cloud, deadline) for cloud in machine.ask
        }
        calls[NODE_LABELS] = lambda: node_labels.ask(self._context, deadline)
        answers = _at_once(calls, deadline)
        words = self._take_node(answers.pop(NODE_LABELS))
        words += self._take_clouds(machine, answers, whole)
        mine = Statement(CONFIGURATION, self._configured)
        statements = [each for each in (mine, self._node, self._metadata) if each is not None]
        combined = combine(statements)
        words += [text for each in statements for text in each.problems]
        words += combined.contradictions
        return Identified(combined.identity, tuple(Problem(PROBLEM, text) for text in words))

    def _cloud(self, cloud: str, deadline: float) -> Callable[[], Statement]:
        return lambda: Statement(METADATA, CLOUDS[cloud](self._context, deadline))

    def _take_node(self, answer: Statement | Exception) -> list[str]:
        if isinstance(answer, Statement):
            self._node = answer
            return []
        return [] if isinstance(answer, NotHere) else [_told(answer)]

    def _take_clouds(
        self, machine: Firmware, answers: Mapping[str, Statement | Exception], whole: bool
    ) -> list[str]:
        """Take what the clouds said; nothing is decided by silence unless they had `whole` time."""
        found = {
            cloud: answer for cloud, answer in answers.items() if isinstance(answer, Statement)
        }
        words = [
            f"{cloud}: {_told(answer)}"
            for cloud, answer in answers.items()
            if isinstance(answer, Exception) and not isinstance(answer, NotHere)
        ]
        if len(found) > 1:
            return [*words, f"{' and '.join(found)} answer as metadata services: none is believed"]
        if found:
            self._metadata = next(iter(found.values()))
            self._clouds_done = True
        elif not words and not (machine.sure and machine.ask):
            self._clouds_done = whole or not machine.ask
        elif not words:
            words.append(f"the firmware says {machine.ask[0]}, whose metadata service is silent")
        return words


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, PriceSourceError) else type(error).__name__


def _at_once(
    calls: Mapping[str, Callable[[], Value]], deadline: float
) -> dict[str, Value | Exception]:
    """The results of all calls, each made in a thread of its own until the deadline."""
    results: dict[str, Value | Exception] = {}

    def make(name: str, call: Callable[[], Value]) -> None:
        try:
            results[name] = call()
        except Exception as error:  # noqa: BLE001 - one that fails leaves the others theirs
            results[name] = error

    threads = [
        threading.Thread(target=make, args=item, name="unitcost-identity", daemon=True)
        for item in calls.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline + _GRACE - time.monotonic()))
    late = PriceSourceError("no answer in time")
    return {name: results.get(name, late) for name in calls}
