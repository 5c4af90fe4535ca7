"""Why the driver's library shows no NVIDIA GPU, or not all there are, and what mends it."""

from collections.abc import Iterator, Sequence

from unitcost.collectors.base import Problem
from unitcost.exporter.doctor.ask import Scene
from unitcost.exporter.doctor.host import Finding, ok, warn
from unitcost.exporter.doctor.traces import LIBRARY, Traces
from unitcost.pricing.device import Device

VISIBLE = "NVIDIA_VISIBLE_DEVICES"
_CONTAINER = (
    f"in a container: runtime class nvidia (docker: --gpus all), {VISIBLE}=all and "
    "NVIDIA_DRIVER_CAPABILITIES=utility"
)
_BINDING = "pip install --force-reinstall nvidia-ml-py"
_SESSION_MENDS = {
    "wrong_module": f"pip uninstall pynvml, then {_BINDING}",
    "lib_rm_version_mismatch": "the driver was upgraded: restart the host, or load the kernel's "
    "new module; a container must be made anew to get the new library",
    "timeout": "the driver hangs: see the kernel's log for an Xid; restart the host",
    "no_permission": "let this user open /dev/nvidiactl and /dev/nvidia*, or run as user 0",
    "unknown": f"the devices may not be opened here; {_CONTAINER}; if it worked before, make the "
    "container anew (systemctl daemon-reload takes its devices)",
}
_LOG = "see the kernel's log for what the driver says (NVRM, Xid)"


def no_driver(subject: str, why: str, traces: Traces) -> Finding:
    """That there is no driver: as it should be, unless there are traces of a GPU."""
    if not traces.any:
        absent = "library_not_found" in why
        return ok(subject, f"nothing to read: {'no NVIDIA driver here' if absent else why}")
    if traces.gpus and not traces.ours:
        names = ", ".join(f"{name} has {count}" for name, count in traces.taken)
        return ok(subject, f"nothing to read: other drivers have all {traces.gpus} GPUs ({names})")
    seen = [f"{traces.ours} GPUs on the PCI bus"] if traces.gpus else []
    if traces.kernel_driver:
        seen.append(f"the kernel's driver {traces.kernel_driver}")
    text = f"nothing is read of NVIDIA GPUs ({why}), yet there is {' and '.join(seen)}"
    return warn(subject, text, _driver_mend(why, traces))


def _driver_mend(why: str, traces: Traces) -> str:
    if "not installed" in why:
        return _BINDING
    if traces.folder:
        return f"{LIBRARY} is in {traces.folder}: set LD_LIBRARY_PATH={traces.folder}"
    if not traces.kernel_driver:
        return "install NVIDIA's driver, or load it (modprobe nvidia)"
    if "library_not_found" in why:
        return f"{_CONTAINER}; on the host: install the driver's {LIBRARY}"
    return f"{_CONTAINER}; on the host: modprobe nvidia"


def no_session(subject: str, problem: Problem, traces: Traces) -> Finding:
    """That the driver's library is there, but fails."""
    loaded = f" (the kernel's driver is {traces.kernel_driver})" if traces.kernel_driver else ""
    text = f"no GPU can be read: {problem.kind}: {problem.detail}{loaded}"
    return warn(subject, text, _SESSION_MENDS.get(problem.kind, _LOG))


def no_gpus(
    subject: str,
    devices: Sequence[Device],
    problems: Sequence[Problem],
    traces: Traces,
    scene: Scene,
) -> Iterator[Finding]:
    """That the driver shows fewer GPUs than the PCI bus; those it fails at are told already."""
    if problems:
        return
    if len(devices) >= traces.ours:
        if not devices:
            yield ok(subject, "nothing to read: the driver is here, a GPU is not")
        return
    text = f"the driver shows {len(devices)} of {traces.ours} GPUs on the PCI bus"
    if VISIBLE in scene.environ:
        text += f" ({VISIBLE} is {scene.environ[VISIBLE][:80]!r})"
    mend = f"{_CONTAINER}, or allow /dev/nvidia* in the service's or the container's device list"
    yield warn(subject, text, mend)
