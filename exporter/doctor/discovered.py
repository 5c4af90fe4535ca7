"""What `unitcost doctor` says of servers that nobody configured: those found, or why none is."""

import time
from collections.abc import Iterator, Mapping

from unitcost.collectors.base import Neighbours, NoData, Reading
from unitcost.collectors.openmetrics import OpenMetricsCollector, Options
from unitcost.exporter.config.load import Loaded
from unitcost.exporter.doctor.ask import MAX_PROBLEMS
from unitcost.exporter.doctor.host import Finding, ok, warn
from unitcost.pricing.sample import Subject

SUBJECT = "discovery"
LOOKS = 3
LOOK_SECONDS = 2.0
_PAGE = "docs/discovery.md says what is looked for"


def discovery_findings(loaded: Loaded, readings: Mapping[str, Reading]) -> Iterator[Finding]:
    """Discover as the exporter does, with what the other collectors saw just now."""
    options = loaded.collector_options.get("openmetrics")
    if not isinstance(options, Options):
        return
    processes = tuple(each for reading in readings.values() for each in reading.processes)
    pods = tuple(each for reading in readings.values() for each in reading.pods or ())
    if not options.discover:
        yield ok(SUBJECT, "switched off: no socket that is not configured is asked")
        if not options.discover_pods or not pods:
            return
    elif not processes and not pods:
        yield warn(SUBJECT, "no process and no pod is seen, so no server", "see `read host` above")
        return
    collector = OpenMetricsCollector(options, loaded.context)
    try:
        yield from _told(_look(collector, Neighbours(processes, pods)), loaded)
    finally:
        collector.close()


def _look(collector: OpenMetricsCollector, neighbours: Neighbours) -> list[Reading]:
    """A few readings: sockets are asked a few at a time."""
    found = []
    for _ in range(LOOKS):
        collector.meet(neighbours)
        try:
            found.append(collector.collect(time.monotonic() + LOOK_SECONDS))
        except NoData:
            continue
    return found


def _told(readings: list[Reading], loaded: Loaded) -> Iterator[Finding]:
    configured = {target.id for target in loaded.context.targets}
    last = readings[-1].subjects if readings else ()
    servers = [subject for subject in last if subject.id not in configured]
    for server in servers:
        yield _server(server)
    known = {"annotation", "discovery", "locked", "no_metrics", "pod", "unrecognised"}
    problems = dict.fromkeys(
        problem
        for reading in readings
        for problem in reading.problems
        if problem.kind in known and not any(url in problem.detail for url in _urls(configured))
    )
    for problem in list(problems)[:MAX_PROBLEMS]:
        yield warn(SUBJECT, problem.detail)
    if not servers and not problems:
        yield ok(SUBJECT, f"no server that is not configured listens here; {_PAGE}")


def _server(server: Subject) -> Finding:
    url = server.id.removeprefix("server:")
    if server.pod:
        text = f"{url}: of pod {server.pod}"
    else:
        process = "" if server.pid is None else f" (process {server.pid})"
        text = f"{url}{process}: counts for its process's workload, else for {server.fallback}"
    if server.up:
        return ok(SUBJECT, text)
    return warn(SUBJECT, f"{text}; it does not answer", "see that its page is there")


def _urls(ids: set[str]) -> set[str]:
    return {each.removeprefix("server:").partition("#")[0] for each in ids}
