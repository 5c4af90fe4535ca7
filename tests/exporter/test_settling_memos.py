"""Settling what is told apart inside of a cost: waste, cache savings, tenants."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sites import CHAT, Site, price_now, rules
from tests.worlds import Server
from unitcost.exporter.settling.rules import Rules
from unitcost.pricing.money import to_usd
from unitcost.pricing.price import PriceBook
from unitcost.pricing.sample import Outcome, Phase, Quantity, TokenType
from unitcost.pricing.workload import OVERFLOW

WASTE = "unitcost_waste_cost_usd_total"
SAVED = "unitcost_cache_savings_usd_total"
TENANT = "unitcost_tenant_cost_usd_total"


def site_of(its_rules: Rules | None = None) -> tuple[Site, Server]:
    """A server that holds half of a rented host."""
    site = Site(its_rules or rules(workloads=(CHAT,)))
    server = site.host.serve("chat", 8000, cores=1.0, gibs=2.0)
    server.work(0)
    site.settle()
    return site, server


def total(site: Site, metric: str, *labels: str) -> Decimal:
    """Dollars of a counter."""
    return to_usd(site.counter(metric, *labels))


def test_failed_work_costs_its_seconds_of_the_active_cost() -> None:
    """A quarter of the seconds, so a quarter of the dollars."""
    site, server = site_of()
    server.add(Quantity.OUTCOME_SECONDS, 0, Outcome.FAILED)
    server.add(Quantity.REQUEST_SECONDS, 0)
    for _ in range(100):
        server.work(3, seconds=3.0)
        server.add(Quantity.REQUESTS, 1, Outcome.FAILED)
        server.add(Quantity.REQUEST_SECONDS, 1)
        server.add(Quantity.OUTCOME_SECONDS, 1, Outcome.FAILED)
        site.tick()
    part = total(site, WASTE, "chat", "m", "failed") / site.usd("chat", state="active")
    assert float(part) == pytest.approx(0.25, rel=0.02)
    assert not site.counter(WASTE, "chat", "m", "aborted")


def test_aborted_work_costs_its_tokens_where_no_seconds_are_told() -> None:
    """One token in five was for nobody."""
    site, server = site_of()
    for _ in range(100):
        server.work(1, seconds=2.0)
        server.add(Quantity.TOKENS, 80, TokenType.OUTPUT)
        server.add(Quantity.TOKENS, 20, TokenType.INPUT)
        server.add(Quantity.OUTCOME_TOKENS, 20, Outcome.ABORTED)
        site.tick()
    part = total(site, WASTE, "chat", "m", "aborted") / site.usd("chat", state="active")
    assert float(part) == pytest.approx(0.2, rel=0.03)


def test_waste_is_unknown_where_the_server_says_nothing_of_it_or_nothing_has_a_price() -> None:
    """Failed requests alone have neither seconds nor tokens."""
    site, server = site_of()
    server.work(5, seconds=2.0)
    server.add(Quantity.REQUESTS, 5, Outcome.FAILED)
    site.tick(3)
    assert WASTE not in site.points()
    price_now(site, None)
    site, server = site_of(rules(replace(rules().book, prices=()), workloads=(CHAT,)))
    server.add(Quantity.REQUEST_SECONDS, 5)
    server.add(Quantity.OUTCOME_SECONDS, 5, Outcome.FAILED)
    site.tick(3)
    assert WASTE not in site.points()


def test_waste_is_never_more_than_what_was_spent_on_work() -> None:
    """A long time of much money and few ends, then many that fail at once, tick after tick."""
    site, server = site_of()
    server.running = True
    server.add(Quantity.OUTCOME_SECONDS, 0, Outcome.FAILED)
    server.work(1, seconds=1.0)
    site.tick(50)
    for _ in range(10):
        server.add(Quantity.REQUESTS, 500, Outcome.FAILED)
        server.add(Quantity.REQUEST_SECONDS, 500)
        server.add(Quantity.OUTCOME_SECONDS, 500, Outcome.FAILED)
        site.tick()
    active = site.usd("chat", state="active")
    assert Decimal("0.9") * active < total(site, WASTE, "chat", "m", "failed") <= active


def test_cached_input_saves_what_computing_it_would_have_cost() -> None:
    """Half of the busy time is prefill of 100 tokens; 300 more came from the cache."""
    site, server = site_of()
    for _ in range(100):
        server.work(1, seconds=4.0)
        server.add(Quantity.TOKENS, 100, TokenType.INPUT)
        server.add(Quantity.TOKENS, 300, TokenType.CACHED_INPUT)
        server.add(Quantity.TOKENS, 10, TokenType.OUTPUT)
        server.add(Quantity.PHASE_SECONDS, 2, Phase.PREFILL)
        server.add(Quantity.PHASE_SECONDS, 2, Phase.DECODE)
        site.tick()
    active = site.usd("chat", state="active")
    assert float(total(site, SAVED, "chat", "m") / active) == pytest.approx(1.5, rel=0.03)


def test_savings_are_unknown_without_phases() -> None:
    """What an input token costs is then not known."""
    site, server = site_of()
    server.add(Quantity.TOKENS, 100, TokenType.INPUT)
    server.add(Quantity.TOKENS, 300, TokenType.CACHED_INPUT)
    site.tick(3)
    assert SAVED not in site.points()


def test_tenants_pay_for_their_tokens_and_sum_to_the_workload() -> None:
    """Idle time by what was done in the window; to the last pico-dollar."""
    site, server = site_of()
    server.work_for("search", 1, tokens=30)
    server.work_for("ads", 1, tokens=10)
    before = site.usd("chat")
    site.tick()
    site.tick(5)
    spent = site.usd("chat") - before
    search, ads = (total(site, TENANT, "chat", "m", name) for name in ("search", "ads"))
    assert search + ads == spent
    assert float(search / spent) == pytest.approx(0.75)
    assert site.units("chat", "unitcost_tenant_tokens_total") == 40
    assert site.counter("unitcost_tenant_requests_total", "chat", "m", "ads") == 10**6


def test_what_is_nobody_s_is_the_others() -> None:
    """Requests without a tenant's label, and time in which nobody asked anything yet."""
    site, server = site_of()
    server.work_for("search", 1, tokens=10)
    server.work(1)
    server.add(Quantity.TOKENS, 30, TokenType.OUTPUT)
    before = site.usd("chat")
    site.tick()
    spent = site.usd("chat") - before
    assert float(total(site, TENANT, "chat", "m", "search") / spent) == pytest.approx(0.25)
    assert float(total(site, TENANT, "chat", "m", OVERFLOW) / spent) == pytest.approx(0.75)


def test_an_output_token_weighs_what_it_takes() -> None:
    """One asks long questions, one gets long answers; decode is ten times as slow."""
    site, server = site_of()
    for name, kind, tokens in (("asks", TokenType.INPUT, 100), ("gets", TokenType.OUTPUT, 100)):
        key = (Quantity.TOKENS, kind.value, "m")
        server.add(Quantity.TOKENS, tokens, kind)
        server.tenants[name, key] = tokens
    server.add(Quantity.PHASE_SECONDS, 1, Phase.PREFILL)
    server.add(Quantity.PHASE_SECONDS, 10, Phase.DECODE)
    site.tick()
    asks, gets = (total(site, TENANT, "chat", "m", name) for name in ("asks", "gets"))
    assert float(gets / asks) == pytest.approx(10, rel=0.01)


def test_idle_time_goes_by_the_tokens_of_the_whole_window() -> None:
    """What a token weighs changes as phases become known; each tick's tokens count all the same."""
    site, server = site_of()
    server.work_for("early", 1, tokens=300)
    site.tick()
    server.add(Quantity.TOKENS, 10, TokenType.INPUT)
    server.add(Quantity.PHASE_SECONDS, 1, Phase.PREFILL)
    server.add(Quantity.PHASE_SECONDS, 9, Phase.DECODE)
    server.work_for("late", 1, tokens=100)
    site.tick()
    before = {name: total(site, TENANT, "chat", "m", name) for name in ("early", "late")}
    site.tick(10)
    early, late = (total(site, TENANT, "chat", "m", name) - before[name] for name in before)
    assert float(early / late) == pytest.approx(3)


def test_the_number_of_tenants_has_a_cap_that_outlives_a_restart() -> None:
    """Whoever has a series keeps it."""
    site, server = site_of(rules(workloads=(replace(CHAT, max_tenants=2),)))
    for number in range(5):
        server.work_for(f"t{number}", 1, tokens=10)
        site.tick()
    site.restart()
    site.tick()
    for number in reversed(range(5)):
        server.work_for(f"t{number}", 1, tokens=10)
        site.tick()
    shown = {labels[2] for labels, _ in site.points()[TENANT]}
    assert shown == {"t0", "t1", OVERFLOW}
    assert site.counter("unitcost_tenant_tokens_total", "chat", "m", "t1") == 20 * 10**6
    assert site.counter("unitcost_tenant_tokens_total", "chat", "m", OVERFLOW) == 60 * 10**6


def test_the_cap_outlives_a_restart_where_only_units_are_counted() -> None:
    """There are no dollars of any tenant then."""
    its_rules = rules(PriceBook((), ()), workloads=(replace(CHAT, max_tenants=2),))
    site, server = site_of(replace(its_rules, scope="units"))
    for number in range(6):
        server.work_for(f"t{number}", 1, tokens=10)
        site.tick()
        site.restart()
    points = site.points()
    assert TENANT not in points
    shown = {labels[2] for labels, _ in points["unitcost_tenant_tokens_total"]}
    assert shown == {"t0", "t1", OVERFLOW}


def test_tenants_go_on_summing_to_the_workload_after_a_restart() -> None:
    """Nobody works then, and a model nobody asked for appears."""
    site, server = site_of()
    server.work_for("search", 1, tokens=10)
    before = site.usd("chat")
    site.tick()
    site.restart()
    site.tick(2)
    server.work(3, model="other")
    site.tick(3)
    assert total(site, TENANT, "chat") == site.usd("chat") - before


Turn = tuple[int, str, int, int]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5),
            st.sampled_from(["a", "b", "c", "d"]),
            st.integers(0, 50),
            st.integers(0, 50),
        ),
        max_size=12,
    )
)
@settings(deadline=None)
def test_whatever_happens_tenants_sum_and_memos_are_parts(turns: list[Turn]) -> None:
    """Random work, restarts and ticks: Σ tenants = the workload's cost since the first of them."""
    site, server = site_of(rules(workloads=(replace(CHAT, max_tenants=2),)))
    server.add(Quantity.OUTCOME_TOKENS, 0, Outcome.ABORTED)
    server.work_for("a", 1, tokens=1)
    before = site.usd("chat")
    site.tick()
    for what, tenant, tokens, wasted in turns:
        if what == 0:
            site.restart()
        elif what == 1:
            site.tick(2)
        else:
            server.work_for(tenant, 1, tokens=tokens)
            server.add(Quantity.OUTCOME_TOKENS, min(tokens, wasted), Outcome.ABORTED)
            site.tick()
    assert total(site, TENANT, "chat") == site.usd("chat") - before
    assert 0 <= total(site, WASTE, "chat") <= site.usd("chat", state="active")
    assert site.counter("unitcost_tenant_tokens_total", "chat") == site.counter(
        "unitcost_tokens_total", "chat"
    )
