"""The pod we are in: what the environment says of it, and what is wrong with what was said.

Kubernetes' downward API gives each container's requests as an environment variable; those of all
containers are summed.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal

import msgspec

from unitcost.exporter.config.decode import Mistake, shown
from unitcost.exporter.config.pod_settings import Pod
from unitcost.exporter.config.settings import Host, Settings
from unitcost.exporter.config.yaml_strict import Path
from unitcost.pricing.resource import GIB

NODE = "NODE_NAME"
NAMED = {
    "workload": "UNITCOST_POD_WORKLOAD",
    "namespace": "POD_NAMESPACE",
    "name": "POD_NAME",
    "uid": "POD_UID",
}
GPUS = "UNITCOST_POD_GPUS"
CPU_PREFIX, MEMORY_PREFIX = "UNITCOST_POD_CPU_MILLI_", "UNITCOST_POD_MEMORY_BYTES_"
"""Before any name: thousandths of a core (divisor 1m), and bytes (divisor 1), a container each."""
PATH: Path = ("host", "pod")
_WHOLE = re.compile(r"[0-9]{1,18}", re.ASCII)


def completed_pod(host: Host, only_workload: str, environ: Mapping[str, str]) -> Pod | None:
    """The pod with what its environment says filled in; None where there is none, or no need.

    `only_workload`: the one workload that is configured, whose name the pod's is unless somebody
    says otherwise. Raises Mistake for a variable that is no number.
    """
    pod = host.pod
    if host.scope == "host":
        return pod
    if pod is None:
        if host.scope == "units" and not any(name in environ for name in NAMED.values()):
            return None
        pod = Pod()
    said = {key: getattr(pod, key) or environ.get(name, "") for key, name in NAMED.items()}
    said["workload"] = said["workload"] or only_workload or _by_name(said, host)
    cpu, memory = _sum(environ, CPU_PREFIX, "cpu"), _sum(environ, MEMORY_PREFIX, "memory_gib")
    return msgspec.structs.replace(
        pod,
        **said,
        cpu=pod.cpu if pod.cpu is not None or cpu is None else Decimal(cpu) / 1000,
        memory_gib=pod.memory_gib
        if pod.memory_gib is not None or memory is None
        else Decimal(memory) / GIB,
        gpus=pod.gpus if pod.gpus is not None else _whole(environ, GPUS, "gpus"),
    )


def _by_name(said: Mapping[str, str], host: Host) -> str:
    """What a pod is called of whose controller nobody tells."""
    return f"{said['namespace'] or 'default'}/Pod/{said['name']}" if said["name"] else host.name


def _sum(environ: Mapping[str, str], prefix: str, key: str) -> int | None:
    """The sum over containers, None where no variable says anything."""
    names = [name for name in environ if name.startswith(prefix)]
    found = [_whole(environ, name, key) for name in sorted(names)]
    known = [each for each in found if each is not None]
    return sum(known) if known else None


def _whole(environ: Mapping[str, str], name: str, key: str) -> int | None:
    text = environ.get(name, "").strip()
    if not text:
        return None
    if not _WHOLE.fullmatch(text):
        problem = f"environment {name}: expected a whole number, got {shown(text)}"
        raise Mistake((*PATH, key), problem)
    return int(text)


def pod_mistakes(settings: Settings) -> Iterator[Mistake]:
    """Every mistake in what is said of the pod and of its host."""
    host = settings.host
    if host.pod is not None and host.scope == "host":
        yield Mistake(PATH, "is for scope: pod and scope: units, an exporter beside its workload")
    if host.size is not None and host.scope != "pod":
        problem = "is for scope: pod; elsewhere the host's size is measured"
        yield Mistake(("host", "size"), problem)
    if host.scope == "pod" and settings.price.owned is not None:
        problem = "a pod pays its part of what a host costs an hour: state usd_per_hour or lookup"
        yield Mistake(("price", "owned"), problem)
    if host.scope == "pod" and settings.price.split.rest_usd_per_hour:
        problem = "a rest that nobody holds is no pod's: not with host.scope pod"
        yield Mistake(("price", "split", "rest_usd_per_hour"), problem)


def pod_warnings(settings: Settings) -> Iterator[str]:
    """What is allowed in a pod and yet looks wrong, one line each."""
    pod = settings.host.pod
    if pod is None or settings.host.scope != "pod":
        return
    if pod.cpu is None or pod.memory_gib is None:
        missing = " and ".join(
            key
            for key, value in (("cpu", pod.cpu), ("memory_gib", pod.memory_gib))
            if value is None
        )
        yield f"host.pod: {missing}: no requests are known, so only what is used is charged"
