"""Counters that say what they should only while a server stands still.

A server that counts all tokens as they are made, and those of finished requests when these finish,
tells by the difference what was made for requests that never finished; but only at moments at which
none is under way. What came between two such moments is counted at the second one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from unitcost.collectors.page.readout import Field, Key, Readout, Value
from unitcost.collectors.page.table_reading import MAX_KEYS
from unitcost.pricing.sample import Quantity

_UNDER_WAY = (Quantity.REQUESTS_RUNNING, Quantity.REQUESTS_WAITING)


@dataclass(slots=True)
class Standstill:
    """What was counted at the moments at which nothing was under way, from the first one on.

    Before the first one nothing is known, and there is no value. The counters are our own: they
    begin at zero at the first moment, or at the server's start where that was seen.
    """

    began: dict[tuple[Field, Key], float] = field(default_factory=dict)
    counted: dict[Field, dict[Key, Value]] = field(default_factory=dict)
    from_zero: bool = False

    def start(self, *, seen: bool) -> None:
        """The server's counters stand at zero, or, unless that was seen, somewhere."""
        self.began.clear()
        self.counted.clear()
        self.from_zero = seen

    def values(self, readout: Readout) -> dict[Field, Mapping[Key, Value]]:
        """The readout's values, with those that lag as they were at the last standstill."""
        still = _stands_still(readout)
        found: dict[Field, Mapping[Key, Value]] = {}
        for what, values in readout.values.items():
            if what not in readout.lagging:
                found[what] = values
                continue
            if still:
                self._count(what, values)
            if what in self.counted:
                found[what] = self.counted[what]
        return found

    def _count(self, what: Field, values: Mapping[Key, Value]) -> None:
        own = self.counted.setdefault(what, {})
        for key, value in values.items():
            first = 0.0 if self.from_zero else value.value
            began = self.began.setdefault((what, key), first)
            last = own.get(key, Value(0.0)).value
            now = max(last, value.value - began)
            own[key] = Value(now, minuend=now)
        if len(own) > MAX_KEYS:
            for key in own.keys() - values.keys():
                del own[key], self.began[what, key]


def _stands_still(readout: Readout) -> bool:
    """Whether the server says that no request runs or waits."""
    under_way = [
        value.value
        for what, values in readout.values.items()
        if what.quantity in _UNDER_WAY
        for value in values.values()
    ]
    return bool(under_way) and not any(under_way)
