"""Eight sidecars and a DaemonSet on one made-up GPU node: every dollar and every request once.

Nine exporters run as users run them. The fleet's rule is the one of docs/sidecar.md: dollars of a
pod's sidecar do not count where an agent charges the whole host.
"""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.test_prometheus import Prometheus
from tests.harness import Exporter, Scrape, free_port, wait_for
from tests.sidecar_node import GPUS, USD, ServingPod, SidecarNode, own_address, sidecar_node
from unitcost.dashboards.build import write
from unitcost.dashboards.names import Recorded, T
from unitcost.dashboards.promql import once
from unitcost.dashboards.settings import Settings
from unitcost.exporter.ledger.tools import check
from unitcost.pricing.charge import cost_of
from unitcost.pricing.money import PICO, to_pico

pytest.importorskip("grpc")
pytest.importorskip("pynvml")

COST, REQUESTS = "unitcost_cost_usd_total", "unitcost_requests_total"
SCOPES = ("units", "pod")
ELAPSED = """
SELECT accrual.resource, price.pico_per_unit, SUM(accrual.elapsed_ns), SUM(accrual.pico)
FROM accrual JOIN price ON price.id = accrual.price
GROUP BY accrual.hour, accrual.resource, accrual.price
"""


@pytest.fixture
def node(tmp_path: Path) -> Iterator[SidecarNode]:
    """Eight GPUs, no pods."""
    with sidecar_node(tmp_path / "node") as found:
        yield found


@contextmanager
def exporters(
    folder: Path, node: SidecarNode, pods: Sequence[ServingPod]
) -> Iterator[tuple[Exporter, list[Exporter]]]:
    """One on the node and one beside each pod, of both scopes in turn."""
    with ExitStack() as stack:

        def made(name: str, settings: dict[str, object], environment: dict[str, str]) -> Exporter:
            (folder / name).mkdir()
            exporter = Exporter(folder / name, settings, environment)
            stack.callback(exporter.stop, signal.SIGKILL)
            return exporter

        daemon = made("daemon", *node.daemon())
        beside = [
            made(f"beside-{pod.name}", *node.sidecar(pod, SCOPES[number % 2]))
            for number, pod in enumerate(pods)
        ]
        start([daemon, *beside])
        yield daemon, beside


def start(several: Sequence[Exporter]) -> None:
    """Start them, all at once."""
    with ThreadPoolExecutor(len(several)) as pool:
        list(pool.map(Exporter.start, several))


def charging(scrapes: Sequence[Scrape]) -> list[Scrape]:
    """Those whose dollars count: not a pod's on a host that is charged as a whole."""
    infos = [dict(next(iter(each.each("unitcost_host_info")))) for each in scrapes]
    whole = {info["host"] for info in infos if info["scope"] == "host"}
    return [
        scrape
        for scrape, info in zip(scrapes, infos, strict=True)
        if info["scope"] != "pod" or info["host"] not in whole
    ]


def ledger_pico(exporter: Exporter) -> int:
    """All that a ledger has charged."""
    ((pico,),) = exporter.rows("SELECT SUM(pico) FROM charge")
    return int(pico)


def seen(exporter: Exporter, pod: ServingPod) -> None:
    """Wait until it counts the pod's requests, so that none is from before."""
    wait_for(
        lambda: exporter.scrape().each(REQUESTS, workload=pod.workload), f"{pod.name} to be seen"
    )


def counted(exporter: Exporter, pod: ServingPod, requests: int) -> None:
    """Wait until it has counted so many requests of the pod."""
    wait_for(
        lambda: exporter.scrape().total(REQUESTS, workload=pod.workload) == requests,
        f"{requests} requests of {pod.name}",
    )


def test_every_dollar_and_every_request_once(node: SidecarNode, tmp_path: Path) -> None:
    """While sidecars and the agent are killed, and a pod comes and goes."""
    pods = [node.start(f"chat{number}-0", gpu=number, units="sidecar") for number in range(7)]
    late = node.start("chat7-0", gpu=7, units="sidecar")
    plain = node.start("plain-0")
    with exporters(tmp_path, node, [*pods, late]) as (daemon, beside):
        started = time.monotonic()
        for exporter, pod in zip(beside, [*pods, late], strict=True):
            seen(exporter, pod)
        asked = {pod.workload: pod.server.ask(5) for pod in [*pods, late]}
        daemon.wait_tick(2)
        daemon.stop(signal.SIGKILL)
        for number in (2, 3):
            beside[number].stop(signal.SIGKILL)
            asked[pods[number].workload] += pods[number].server.ask(3)
        start([daemon, beside[2], beside[3]])
        node.end("chat7-0")
        beside[7].stop(signal.SIGKILL)
        for number, pod in enumerate(pods):
            asked[pod.workload] += pod.server.ask(2)
            counted(beside[number], pod, asked[pod.workload])
        if own_address():
            seen(daemon, plain)
            asked[plain.workload] = plain.server.ask(4)
            counted(daemon, plain, 4)
        daemon.wait_tick(2)
        scrapes = [each.scrape() for each in (daemon, *beside[:7])]
        for workload, count in asked.items():
            if workload != late.workload:
                assert sum(each.total(REQUESTS, workload=workload) for each in scrapes) == count
        assert [each.total(COST) > 0 for each in scrapes] == [True] + [False, True] * 3 + [False]
        assert len(charging(scrapes)) == 5
        fleet = sum(each.total(COST) for each in charging(scrapes))
        assert fleet == pytest.approx(scrapes[0].total(COST), rel=1e-12)
        assert fleet <= ledger_pico(daemon) / PICO + 1e-9
        for each in (daemon, *beside[:7]):
            assert each.stop() == 0
            assert check(each.ledger) == []
        the_whole_host_was_charged(daemon, time.monotonic() - started)
        for exporter, pod in zip(beside, pods, strict=False):
            if exporter.settings["host"]["scope"] == "pod":
                a_pod_pays_its_part(exporter, daemon, pod)


def the_whole_host_was_charged(daemon: Exporter, at_most: float) -> None:
    """All time at the host's price, whatever the driver or /proc kept back for a while."""
    rows, price = daemon.rows(ELAPSED), to_pico(Decimal(USD))
    assert all(pico == cost_of(per_unit, spent) for _, per_unit, spent, pico in rows)
    # While it is not known what the host has its whole price is on the rest.
    ns = sum(spent for name, each, spent, _ in rows if name == "cpu" or each == price)
    assert 0 < ns <= at_most * 1e9
    assert len({name for name, *_ in rows if name.startswith("gpu:")}) == GPUS
    charged = ledger_pico(daemon)
    assert charged == sum(row[3] for row in rows)
    assert abs(charged - cost_of(price, ns)) <= len(rows)


def a_pod_pays_its_part(beside: Exporter, daemon: Exporter, pod: ServingPod) -> None:
    """Its GPU at the agent's own price, its requests, and nothing that is not the pod's."""
    price = "SELECT DISTINCT resource, pico_per_unit FROM price"
    assert set(beside.rows(price)) & set(daemon.rows(price)) >= {
        row for row in beside.rows(price) if row[0].startswith("gpu:")
    }
    names = {name for (name,) in beside.rows("SELECT DISTINCT workload FROM charge")}
    assert pod.workload in names
    assert names <= {pod.workload, "__system__", "__unmetered__"}
    resources = {name for (name,) in beside.rows("SELECT DISTINCT resource FROM charge")}
    assert len([name for name in resources if name.startswith("gpu:")]) == 1
    whole = "SELECT SUM(elapsed_ns) FROM accrual WHERE resource LIKE '{}'"
    ((gpu,),), ((cpu,),) = (beside.rows(whole.format(name)) for name in ("gpu:%", "cpu"))
    # Half a core of 32, for as long as it has the GPU and for as long as that was not seen yet.
    assert 0 < gpu <= cpu * 64 * (1 + 1e-6)


@contextmanager
def fleet(binary: Path, folder: Path, targets: Sequence[Exporter]) -> Iterator[Prometheus]:
    """A Prometheus with our rules that scrapes all of them, at a compressed time scale."""
    write(Settings(time_scale=60), folder)
    found = [f"127.0.0.1:{each.port}" for each in targets]
    config = {
        "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"},
        "rule_files": ["rules/unitcost.yaml"],
        "scrape_configs": [{"job_name": "unitcost", "static_configs": [{"targets": found}]}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))
    port = free_port()
    command = [str(binary), f"--config.file={folder / 'prometheus.yml'}"]
    command += [f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=quiet) as child:
        try:
            running = Prometheus(port)
            wait_for(running.alive, "Prometheus")
            yield running
        finally:
            child.kill()


@pytest.mark.real
def test_prometheus_counts_them_once(
    node: SidecarNode, tmp_path: Path, real_tool: Callable[[str], Path]
) -> None:
    """By the rules, also while the agent is away; a request has its price where none has both."""
    binary = real_tool("prometheus")
    pods = [node.start(f"chat{number}-0", gpu=number, units="sidecar") for number in range(2)]
    with exporters(tmp_path, node, pods) as (daemon, beside):
        (tmp_path / "prometheus").mkdir()
        targets = [daemon, *beside]
        with fleet(binary, tmp_path / "prometheus", targets) as server:
            for pod in pods:
                known = f'{REQUESTS}{{workload="{pod.workload}"}}'
                wait_for(partial(server.query, known), f"{pod.name} to be scraped")
                pod.server.ask(20)
            second = f'{Recorded.SECOND_CHARGE}{{instance="127.0.0.1:{beside[1].port}"}}'
            wait_for(lambda: server.query(second), "the rule to see who charges twice")
            assert server.value(f"count({Recorded.SECOND_CHARGE})") == 1
            agent = f'{COST}{{instance="127.0.0.1:{daemon.port}"}}'
            assert server.value(f"sum({once(COST)}) - sum({agent})") == 0
            assert server.value(f"sum({COST}) - sum({agent})") > 0
            price = f'{Recorded.REQUEST_COST}{{workload="{pods[0].workload}"}} > 0'
            wait_for(lambda: server.query(price), "what a request costs")
            assert server.query(f'unitcost_request_cost_usd{{workload="{pods[0].workload}"}}') == []
            daemon.stop(signal.SIGKILL)
            wait_for(lambda: server.query("up == 0"), "the agent to be missed")
            assert server.value(f"count({second} and on ({T}) up)") == 1
