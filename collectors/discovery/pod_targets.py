"""Targets of pods that say where their metrics page is."""

from collections.abc import Sequence

from unitcost.collectors.address import parse_url
from unitcost.collectors.base import Problem, Target
from unitcost.collectors.discovery.sockets import is_own_address
from unitcost.pricing.container import Pod, Scrape
from unitcost.pricing.workload import WorkloadKind, clean_name

MAX_PODS = 256


def pod_targets(
    pods: Sequence[Pod], configured: Sequence[Target]
) -> tuple[tuple[Target, ...], list[Problem]]:
    """A target for each pod that wants to be read, but for those that are read anyway.

    Of pods that share a page (they share the host's address) the one listed last has it.
    """
    places = {_place(target.url) for target in configured}
    found: dict[object, Target] = {}
    problems = []
    for pod in pods:
        if pod.scrape is None or not pod.address:
            continue
        target = _target(pod, pod.scrape)
        try:
            place = _place(target.url)
        except ValueError as error:
            problems.append(Problem("pod", f"{target.pod}: {error}"))
            continue
        if place not in places:
            found[place] = target
    if len(found) > MAX_PODS:
        problems.append(Problem("pod", f"only {MAX_PODS} of {len(found)} pods are read"))
    targets = sorted(found.values(), key=lambda target: (target.pod, target.url))
    return tuple(targets[:MAX_PODS]), problems


def _target(pod: Pod, scrape: Scrape) -> Target:
    host = f"[{pod.address}]" if ":" in pod.address else pod.address
    return Target(
        url=f"{scrape.scheme}://{host}:{scrape.port}{scrape.path}",
        workload="",
        kind=WorkloadKind.INFERENCE,
        server=scrape.server,
        pod=f"{pod.namespace}/{pod.name}",
        fallback=clean_name(pod.workload),
    )


def _place(url: str) -> tuple[str, int]:
    place = parse_url(url)
    return place.host, place.port


def own_ports(pods: Sequence[Pod]) -> frozenset[int]:
    """The ports of pods that share our own network, which are read as theirs."""
    wanted = [(pod.address, pod.scrape.port) for pod in pods if pod.scrape and pod.address]
    own = {address for address in {each for each, _ in wanted} if is_own_address(address)}
    return frozenset(port for address, port in wanted if address in own)
