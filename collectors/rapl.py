"""Energy of the CPUs and their memory: the RAPL counters of Intel and AMD, read from powercap.

Since CVE-2020-8694 only uid 0 may read them, or who has CAP_DAC_READ_SEARCH.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec

from unitcost.collectors import procfs
from unitcost.collectors.base import Context, Problem, Reading
from unitcost.collectors.power.powercap import Domain, domains
from unitcost.pricing.energy import Meter, Path, Scope
from unitcost.pricing.sample import NS_PER_SECOND, Source

STUCK_AFTER = 12
"""A counter that many readings did not move is none: some virtual machines show such."""
MAX_WATTS = {Scope.PSYS: 20_000.0}
MAX_PART_WATTS = 2_000.0
"""More than any package or part of one can take; a leap beyond it is a counter that was reset."""
MAX_ELAPSED_NS = 30 * NS_PER_SECOND
"""The mean over a longer time than this is no power of now, and the counter may wrap twice."""
ENOUGH = 2
"""At so many readings in a row two counters must be alike to be one."""
MICRO = 10**6
PERMISSION = Problem(
    "permission",
    "the energy counters (energy_uj) may not be read: run as uid 0, or with CAP_DAC_READ_SEARCH "
    "effective (for another uid an added capability is not, unless it is ambient)",
)


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`sysfs`: where the host's /sys is seen; in a container it must be mounted elsewhere."""

    sysfs: str = "/sys"


@dataclass(frozen=True, slots=True)
class _Reading:
    """One counter at one instant, in microjoules; it goes on from zero after `range`."""

    domain: Domain
    energy: int
    range: int
    mono_ns: int


@dataclass(slots=True)
class _Known:
    """The last reading of a domain, and for how many readings in a row it did not move."""

    last: _Reading
    unchanged: int = 0


class RaplCollector:
    """Remembers the last reading of each domain: for power, and to see which do not move."""

    name = "rapl"

    def __init__(
        self,
        options: Options,
        context: Context,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._sysfs = options.sysfs
        self._now_ns = now_ns
        self._known: dict[str, _Known] = {}
        self._mirrors = MirrorWatch()

    def collect(self, deadline: float) -> Reading:
        """Read all domains. Raises NoData without RAPL, OSError where /sys is out of order.

        A domain that cannot be read breaks only itself: it is absent, and reported.
        """
        found, listing = domains(self._sysfs)
        problems = dict.fromkeys(listing)
        readings = []
        for domain in found:
            try:
                readings.append(self._read(domain))
            except procfs.Gone:
                continue
            except PermissionError:
                problems[PERMISSION] = None
            except (OSError, ValueError) as error:
                problems[Problem("unreadable", f"{domain.id}: {error}")] = None
        mirrors = self._mirrors.look(readings, self._energy)
        problems.update((_mirrored(package), None) for package in mirrors)
        meters = []
        for reading in readings:
            meter = self._meter(reading)
            if self._known[meter.id].unchanged >= STUCK_AFTER:
                problems[_stuck(meter.id)] = None
            elif not any(_lies_in(meter.path, package.path) for package in mirrors):
                meters.append(meter)
        self._known = {r.domain.id: self._known[r.domain.id] for r in readings}
        return Reading(meters=tuple(meters), problems=tuple(problems))

    def _read(self, domain: Domain) -> _Reading:
        energy, now = self._energy(domain), self._now_ns()
        try:
            wraps_at = _number(f"{domain.directory}/max_energy_range_uj")
        except procfs.Gone:
            wraps_at = 0
        if not wraps_at:
            raise ValueError("no max_energy_range_uj: a wrap could not be told from a reset")
        return _Reading(domain, energy, wraps_at, now)

    def _energy(self, domain: Domain) -> int:
        return _number(f"{domain.directory}/energy_uj")

    def _meter(self, now: _Reading) -> Meter:
        """The meter's reading, and the mean power since the last one."""
        domain = now.domain
        known = self._known.get(domain.id)
        watts = None
        if known is None:
            self._known[domain.id] = _Known(now)
        else:
            watts = power(known.last, now)
            known.unchanged = known.unchanged + 1 if now.energy == known.last.energy else 0
            known.last = now
        return Meter(
            id=domain.id,
            scope=domain.scope,
            path=domain.path,
            mono_ns=now.mono_ns,
            joules=now.energy / MICRO,
            watts=watts,
            power_source=Source.DERIVED,
            resource=domain.resource,
            wraps_at=now.range / MICRO,
            limit_watts=_limit(domain),
        )


def power(last: _Reading, now: _Reading) -> float | None:
    """The mean power between two readings in watts; None where it is not known.

    Unknown after a reset, over more than `MAX_ELAPSED_NS`, and where the counter did not move:
    nothing takes no power, but some counters are updated seldom.
    """
    elapsed_ns = now.mono_ns - last.mono_ns
    used = now.energy - last.energy
    if used < 0 and last.range == now.range:
        used += now.range
    if used <= 0 or not 0 < elapsed_ns <= MAX_ELAPSED_NS:
        return None
    watts = used / MICRO / (elapsed_ns / NS_PER_SECOND)
    return watts if watts <= _limit(now.domain) else None


class MirrorWatch:
    """Finds packages that show one counter: dies of some AMD processors do.

    Two counters are one if the second lies between two readings of the first, made just before
    and just after it. At first sight that is enough, later it must be so at two readings in a row
    between which they moved.
    """

    def __init__(self) -> None:
        self._alike: dict[str, int] = {}
        self._last: dict[str, int] = {}

    def look(self, readings: Sequence[_Reading], read: Callable[[Domain], int]) -> list[Domain]:
        """The packages that show again what one before them does."""
        packages = [each for each in readings if each.domain.scope is Scope.PACKAGE]
        last, before = self._last, self._alike
        self._last = {each.domain.id: each.energy for each in packages}
        self._alike = {}
        for index, package in enumerate(packages):
            id_ = package.domain.id
            alike = before.get(id_, ENOUGH - 1)
            if last.get(id_) != package.energy:
                alike = alike + 1 if _shown_before(package, packages[:index], read) else 0
            self._alike[id_] = alike
        return [each.domain for each in packages if self._alike[each.domain.id] >= ENOUGH]


def _shown_before(
    package: _Reading, others: Iterable[_Reading], read: Callable[[Domain], int]
) -> bool:
    """Whether one of the packages that were read before shows the same counter."""
    for other in others:
        if other.range != package.range:
            continue
        try:
            after = read(other.domain)
        except (procfs.Gone, OSError, ValueError):
            continue
        # Modulo the range, for it may wrap between the readings.
        passed = (after - other.energy) % other.range
        if (package.energy - other.energy) % other.range <= passed:
            return True
    return False


def _lies_in(path: Path, package: Path) -> bool:
    return path[: len(package)] == package


def _limit(domain: Domain) -> float:
    return MAX_WATTS.get(domain.scope, MAX_PART_WATTS)


def _number(path: str) -> int:
    """A file with a number from 0 on. Raises Gone, ValueError or OSError."""
    text = procfs.read(path, 64).strip()
    if not text.isdigit() or len(text) > 18:
        raise ValueError(f"{path} holds no number")
    return int(text)


def _mirrored(package: Domain) -> Problem:
    return Problem("mirrored", f"{package.id} shows another package's counter: it is left out")


def _stuck(id_: str) -> Problem:
    return Problem("stuck", f"{id_} does not move: it measures nothing")


def make_collector(options: Options, context: Context) -> RaplCollector:
    """The collector of the RAPL domains that `options.sysfs` shows."""
    return RaplCollector(options, context)
