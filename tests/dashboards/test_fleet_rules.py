"""What a unit costs over hosts: servers that span two, epochs that only some have closed."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.dashboards.promtool import check_values
from tests.dashboards.stories import counter, gauge, series

pytestmark = pytest.mark.real
EPOCH = 'unitcost:epoch_cost:usd{run="r-1"}'


def group(hosts: int) -> list[tuple[str, str]]:
    """A server on two hosts: requests are counted on the first, cost accrues on both."""
    found = []
    for number in range(2):
        name = f"host-{number}"
        labels = {"workload": "big", "instance": name, "kind": "inference"}
        model = {"model": "m" if number == 0 else ""}
        cost = {**labels, **model, "resource": "gpu:GPU-1", "state": "active"}
        found.append(series("unitcost_cost_usd_total", counter((60, 0.6)), **cost))
        found.append(series("unitcost_workload_hosts", gauge((60, hosts)), **labels))
    done = {"workload": "big", "model": "m", "instance": "host-0"}
    found.append(series("unitcost_requests_total", counter((60, 12)), **done, outcome="succeeded"))
    for kind, tokens in (("input", 900), ("output", 300), ("cached_input", 5000)):
        found.append(series("unitcost_tokens_total", counter((60, tokens)), **done, type=kind))
    return found


def epochs(*last: float, parts: int = 2, hosts: int = 2) -> list[tuple[str, str]]:
    """A run of which each host says which epoch it has closed, and what its part cost."""
    found = []
    for number, epoch in enumerate(last):
        labels = {"workload": "tuner", "run": "r-1", "instance": f"host-{number}"}
        found.append(series("unitcost_epoch_last", gauge((60, epoch)), **labels))
        if number < parts:
            part = gauge((60, 1.5 + number))
            found.append(series("unitcost_epoch_cost_part_usd", part, **labels))
        del labels["run"]
        found.append(series("unitcost_workload_hosts", gauge((60, hosts)), **labels))
    return found


def test_a_unit_of_a_server_on_two_hosts_is_all_their_cost(
    tmp_path: Path, real_tool: Callable[[str], Path]
) -> None:
    """1.20 USD a minute by 12 requests, and by 1,200 tokens; cached input carries none."""
    expected: Mapping[str, float | None] = {
        'unitcost:unit_cost:usd{unit="request"}': 0.1,
        'unitcost:unit_cost:usd{unit="token"}': 0.001,
    }
    check_values(real_tool("promtool"), tmp_path, group(2), 30, expected)


@pytest.mark.parametrize(
    ("inputs", "usd"),
    [
        (epochs(3, 3), 4.0),
        (epochs(3, 2), None),
        (epochs(3, 3, parts=1), None),
        (epochs(3), None),
        (epochs(3, parts=1, hosts=1), 1.5),
    ],
    ids=["both", "one is behind", "one does not know", "one is not there", "alone"],
)
def test_an_epoch_is_there_when_all_hosts_have_closed_it(
    tmp_path: Path,
    real_tool: Callable[[str], Path],
    inputs: list[tuple[str, str]],
    usd: float | None,
) -> None:
    """And never a smaller one before."""
    check_values(real_tool("promtool"), tmp_path, inputs, 30, {EPOCH: usd})
