"""`unitcost doctor`: what this host lets us read, what it does not, and the mend, a line each."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from unitcost.collectors.base import Found, NoData, Reading, Target
from unitcost.exporter.config.load import Loaded, local_port
from unitcost.exporter.doctor.access import access_finding, port_finding
from unitcost.exporter.doctor.ask import MAX_PROBLEMS, Explain, Result, Scene, ask, explain
from unitcost.exporter.doctor.cluster import explain_cgroups, explain_host, explain_kubernetes
from unitcost.exporter.doctor.devices import explain_nvml
from unitcost.exporter.doctor.discovered import discovery_findings
from unitcost.exporter.doctor.holders import holder_findings
from unitcost.exporter.doctor.host import (
    PROC,
    Finding,
    Status,
    fail,
    host_findings,
    ledger_findings,
    mounts,
    ok,
    warn,
)
from unitcost.exporter.doctor.pod import pod_findings
from unitcost.exporter.doctor.power import explain_node_power, explain_rapl, power_findings
from unitcost.exporter.doctor.prices import price_findings
from unitcost.exporter.settling.rules import matcher_of
from unitcost.pricing.attribute import Claim, attribute
from unitcost.pricing.workload import Account

ENDPOINTS, TRAINING, HOST = "openmetrics", "training", "host"
EXPLAIN: Mapping[str, Explain] = {
    "cgroups": explain_cgroups,
    HOST: explain_host,
    "kubernetes": explain_kubernetes,
    "node_power": explain_node_power,
    "nvml": explain_nvml,
    "rapl": explain_rapl,
}
"""Who says more of a collector's answer than `explain` can."""


def report(loaded: Loaded, out: TextIO) -> int:
    """Print all findings; return 0 if nothing failed, else 1."""
    counts: Counter[Status] = Counter()
    for finding in findings(loaded):
        counts[finding.status] += 1
        print(finding.line(), file=out, flush=True)
    told = ", ".join(f"{counts[status]} {status}" for status in Status)
    print(f"\n{told}", file=out)
    return 1 if counts[Status.FAIL] else 0


def findings(loaded: Loaded) -> Iterator[Finding]:
    """Look at everything, one thing after the other; nothing is changed on the host."""
    proc = _procfs(loaded)
    yield from host_findings(proc)
    yield from _configuration(loaded)
    readings: dict[str, Reading] = {}
    scene = _scene(loaded, proc)
    for found in loaded.collectors:
        if found.name != ENDPOINTS or found.module is None or not loaded.context.targets:
            yield from _collector(found, loaded, scene, readings)
    yield from pod_findings(loaded.settings, readings, scene)
    yield from power_findings(readings)
    yield from holder_findings(loaded.settings, readings, scene)
    yield from _endpoints(loaded)
    yield from discovery_findings(loaded, readings)
    if TRAINING in {found.name for found in loaded.collectors}:
        yield from _training_folders(loaded)
    if HOST in readings:
        yield from _workloads(loaded, readings[HOST])
    yield from price_findings(loaded, scene)
    yield from ledger_findings(Path(loaded.settings.ledger.path), mounts(proc))
    yield port_finding(loaded.settings, loaded.web)
    yield access_finding(loaded)


def _procfs(loaded: Loaded) -> Path:
    return Path(getattr(loaded.collector_options.get(HOST), "procfs", str(PROC)))


def _scene(loaded: Loaded, proc: Path) -> Scene:
    options = loaded.collector_options
    sysfs = Path(getattr(options.get("rapl"), "sysfs", "/sys"))
    return Scene(proc, sysfs, environ=os.environ, options=options)


def _configuration(loaded: Loaded) -> Iterator[Finding]:
    if not loaded.source:
        yield ok("config", "no file: all defaults hold")
    elif not loaded.warnings:
        yield ok("config", loaded.source)
    for warning in loaded.warnings:
        yield warn("config", warning)
    for plugin in loaded.plugins:
        if plugin.failed:
            mend = f"mend it, remove {plugin.distribution}, or leave it out of plugins.allow"
            yield fail("plugin", plugin.line(), mend)
        else:
            yield ok("plugin", plugin.line())


def _collector(
    found: Found, loaded: Loaded, scene: Scene, readings: dict[str, Reading]
) -> Iterator[Finding]:
    result = ask(found, loaded.collector_options, loaded.context)
    if isinstance(result, Reading):
        readings[found.name] = result
    yield from EXPLAIN.get(found.name, explain)(f"read {found.name}", result, scene)


def _endpoints(loaded: Loaded) -> Iterator[Finding]:
    """Each endpoint alone, so that a finding is about one endpoint."""
    for found in loaded.collectors:
        if found.name == ENDPOINTS and found.module is not None:
            for target in loaded.context.targets:
                context = replace(loaded.context, targets=(target,))
                yield _endpoint(target, ask(found, loaded.collector_options, context))


def _endpoint(target: Target, result: Result) -> Finding:
    subject, url = "endpoint", target.url
    if isinstance(result, str | NoData):
        return fail(subject, f"{url}: {result}")
    details = "; ".join(problem.detail for problem in result.problems[:MAX_PROBLEMS])
    if not any(one.up for one in result.subjects):
        mend = "see that the server runs and shows its metrics there"
        return fail(subject, details or f"{url}: no answer", mend)
    counted = sorted({sample.quantity.value for sample in result.samples})
    text = f"{url}: counts {', '.join(counted) or 'nothing yet'} for {target.workload}"
    return warn(subject, f"{text}; {details}") if details else ok(subject, text)


def _training_folders(loaded: Loaded) -> Iterator[Finding]:
    """Folders named in the configuration; those looked in by default need not exist."""
    options = loaded.collector_options.get(TRAINING)
    for name in getattr(options, "directories", ()):
        yield _training_folder(Path(name))


def _training_folder(folder: Path) -> Finding:
    if not folder.is_dir():
        mend = "make it, writable by the training job's user"
        return fail("training", f"there is no folder {folder}", mend)
    if not os.access(folder, os.R_OK | os.X_OK, effective_ids=True):
        return fail("training", f"{folder} is not readable", "let this user read and enter it")
    state = folder.stat()
    if not state.st_mode & 0o222:
        return warn("training", f"{folder} is writable by nobody", "let the job's user write it")
    text = (
        f"{folder} is readable; user {state.st_uid} may write it (mode {state.st_mode & 0o7777:o})"
    )
    return ok("training", text)


def _workloads(loaded: Loaded, host: Reading) -> Iterator[Finding]:
    """Whether each workload's processes are found among those of the host."""
    claims = [
        Claim(Account(target.workload), port=port)
        for target in loaded.context.targets
        if (port := local_port(target.url))
    ]
    found = attribute(host.processes, host.listeners, claims, matcher_of(loaded.settings))
    claimed = {claim.account.workload for claim in claims}
    for workload in loaded.settings.workloads:
        if workload.match is None and workload.name not in claimed:
            continue
        count = sum(account.workload == workload.name for account in found.account_of.values())
        if count:
            yield ok("workload", f"{workload.name}: {count} processes")
        else:
            mend = "start it, or mend its match; see also `processes` above"
            yield warn("workload", f"{workload.name}: no process of it is seen", mend)
