"""What `unitcost doctor` says of power: RAPL, the host's own meters, and what all add up to."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from unitcost.collectors.base import NoData, Reading
from unitcost.exporter.doctor.ask import Result, Scene, explain, problem_findings, unread
from unitcost.exporter.doctor.host import Finding, ok, warn
from unitcost.pricing.energy import Meter, Scope, outermost

_X86_FLAGS = re.compile(rb"^flags\s*:(.*)$", re.MULTILINE)
_MODULES = "modprobe intel_rapl_msr (AMD, too), or build the kernel with CONFIG_INTEL_RAPL"


def explain_rapl(subject: str, result: Result, scene: Scene) -> Iterator[Finding]:
    """The domains that are read; or that there are none, though this is no virtual machine."""
    if isinstance(result, NoData) and _is_bare_x86(scene):
        yield warn(subject, "no energy of CPUs: there is no powercap", _MODULES)
    elif isinstance(result, Reading):
        if result.meters:
            yield ok(subject, f"energy counters: {_counted(result.meters)}")
        yield from problem_findings(subject, result.problems)
    else:
        yield unread(subject, result)


def explain_node_power(subject: str, result: Result, scene: Scene) -> Iterator[Finding]:
    """The meters that are read."""
    if not isinstance(result, Reading):
        yield from explain(subject, result, scene)
        return
    if result.meters:
        yield ok(subject, f"power meters: {_counted(result.meters)}")
    yield from problem_findings(subject, result.problems)


def power_findings(readings: Mapping[str, Reading]) -> Iterator[Finding]:
    """What all meters together say that the host draws; nothing where there is no meter."""
    meters = [meter for reading in readings.values() for meter in reading.meters]
    if not meters:
        return
    whole = outermost(meters)
    watts = whole.watts()
    by_scope = Counter(str(meter.scope) for meter in whole)
    scopes = ", ".join(f"{count} {scope}" for scope, count in sorted(by_scope.items()))
    told = "not known yet" if watts is None else f"{watts:.0f} W"
    note = "" if Scope.NODE in by_scope else ": without fans, disks and losses"
    yield ok("power", f"{told} by {scopes}{note}")


def _counted(meters: Sequence[Meter]) -> str:
    """How many of each scope, and what those draw that lie in no other one."""
    counts = Counter(str(meter.scope) for meter in meters)
    text = ", ".join(f"{count} {scope}" for scope, count in counts.items())
    watts = outermost(meters).watts()
    return text if watts is None else f"{text}; {watts:.0f} W now"


def _is_bare_x86(scene: Scene) -> bool:
    """Whether this is an x86 processor without a hypervisor: that has RAPL, as a rule."""
    try:
        with open(scene.proc / "cpuinfo", "rb") as file:
            flags = _X86_FLAGS.search(file.read(65_536))
    except OSError:
        return False
    return flags is not None and b"hypervisor" not in flags[1].split()
