"""Settling a host with GPUs and pods under random histories: every dollar and every joule once."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tests.gpu_story import GpuStory
from tests.gpu_world import GpuHost
from tests.property.test_settle import BOOKS, CALM, TROUBLED, Prices, rules_of, steps
from tests.sites import Site
from tests.story import Step
from unitcost.pricing.carbon import DENOMINATOR, GridIntensity
from unitcost.pricing.workload import RESERVED

GPU_STEPS = ("pod", "pod", "unpod", "compute", "driver", "lose", "blind", "deaf")

GRID = GridIntensity(Decimal("561.135"), "test", pue=Decimal("1.54"))


def tell(history: list[Step], book: Prices) -> GpuStory:
    """The story of a host with three GPUs; in some the driver comes later."""
    host = GpuHost(3)
    host.driver = len(history) % 3 > 0
    story = GpuStory(Site(replace(rules_of(book), carbon=GRID), host))
    story.tell(history)
    return story


@given(steps(*CALM, *GPU_STEPS), BOOKS)
def test_every_dollar_counts_once_whatever_befalls_the_gpus(
    history: list[Step], book: Prices
) -> None:
    """Pods come and go, drivers too, collectors fail, the exporter is killed."""
    check_energy(tell(history, book).site)


@given(steps(*TROUBLED, *GPU_STEPS), BOOKS)
def test_so_it_does_when_the_host_sleeps_or_reboots(history: list[Step], book: Prices) -> None:
    """And when the price changes."""
    check_energy(tell(history, book).site)


def check_energy(site: Site) -> None:
    """Joules of workloads sum to those of the devices, for each device and source.

    And each device emitted what it used, to the microgram, by whoever it was counted to.
    """
    spent: dict[tuple[str, str], int] = {}
    used: dict[str, int] = {}
    emitted: dict[str, int] = {}
    for (metric, labels), micro in site.ledger.counters.items():
        if metric == "unitcost_energy_joules_total":
            key = (labels[1], labels[2])
            spent[key] = spent.get(key, 0) + micro
            used[labels[1]] = used.get(labels[1], 0) + micro
        elif metric == "unitcost_emissions_grams_total":
            emitted[labels[1]] = emitted.get(labels[1], 0) + micro
        elif metric == "unitcost_device_energy_joules_total":
            key = (labels[0], labels[3])
            spent[key] = spent.get(key, 0) - micro
    assert not any(spent.values())
    factor = GRID.picograms_per_kwh
    assert emitted == {name: micro * factor // DENOMINATOR for name, micro in used.items()}


@given(st.integers(1, 9), st.integers(0, 9))
def test_any_number_of_gpus_is_the_host_s_price_in_equal_parts(gpus: int, pods: int) -> None:
    """However many of them are held."""
    host = GpuHost(gpus)
    site = Site(host=host)
    for number in range(min(gpus, pods)):
        host.start(f"pod-{number}", f"GPU-{number}", cores=0.1)
    site.settle()
    site.tick(3)
    costs = {
        each: site.counter("unitcost_resource_cost_usd_total", f"gpu:GPU-{each}")
        for each in range(gpus)
    }
    assert max(costs.values()) - min(costs.values()) <= 3
    held = sum(
        micro
        for (metric, labels), micro in site.ledger.counters.items()
        if metric == "unitcost_held_seconds_total"
        and labels[2].startswith("gpu:")
        and labels[0] not in RESERVED
    )
    assert held == min(gpus, pods) * 15 * 10**6
