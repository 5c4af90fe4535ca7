"""The live page in a real browser: what /metrics says, at any width, and honestly."""

import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Opened, Show, served
from tests.harness import Scrape, exporter, parse
from tests.live_hosts import (
    HOSTILE,
    Served,
    Watched,
    busy,
    crowd,
    drifting,
    empty,
    hostile,
    not_ready,
    partly_priced,
    small,
    unpriced,
)
from unitcost.exporter.serving.pages import LIVE
from unitcost.exporter.serving.web import WebServer

pytestmark = pytest.mark.real

Hosts = Callable[[Callable[[int], Watched]], Watched]
ROWS = """(id) => [...document.querySelector(`#${id} tbody`).rows].map((row) => ({
  head: [...row.querySelectorAll('th bdi, th .under bdi')].map((each) => each.textContent),
  cells: Object.fromEntries([...row.querySelectorAll('td')].map((cell) => [cell.dataset.label, {
    text: cell.innerText, value: cell.querySelector('data')?.value ?? null }])),
}))"""


def rows(opened: Opened, section: str) -> list[dict[str, Any]]:
    """The rows of a section's first table: names, and cells by their column."""
    found: list[dict[str, Any]] = opened.page.evaluate(ROWS, section)
    return found


def same(cell: dict[str, Any], expected: float | None, factor: float = 1.0) -> None:
    """The cell has exactly this number, and shows it to three digits; or none, and says why."""
    if expected is None:
        assert cell["value"] is None
        assert re.fullmatch(r"[A-Z].*\.", cell["text"].strip()), cell["text"]
        return
    assert float(cell["value"]) == expected
    shown = re.search(r"\$([\d.,]+)", cell["text"])
    assert shown is not None
    assert float(shown[1].replace(",", "")) == pytest.approx(expected * factor, rel=6e-3)


@pytest.mark.parametrize("host", [busy, small])
def test_unit_costs_are_those_of_metrics(show: Show, hosts: Hosts, host: Any) -> None:
    """$ a request, per million tokens, an epoch, a step: to the last digit, in both bases."""
    with served(hosts(host)) as (base, source, _):
        opened, scrape = show(base), parse(source.body.decode())
        for basis in ("used", "allocated"):
            opened.page.check(f"input[value={basis}]", force=True)
            check_unit_costs(rows(opened, "inference"), rows(opened, "training"), scrape, basis)
        opened.check_quiet()


def check_unit_costs(
    inference: list[dict[str, Any]], training: list[dict[str, Any]], scrape: Scrape, basis: str
) -> None:
    """Each cell of both tables."""
    assert inference
    for row in inference:
        workload, model = row["head"]
        labels = {"workload": workload, "model": model, "basis": basis}
        request = scrape.one("unitcost_request_cost_usd", **labels)
        same(row["cells"]["$ a request"], request)
        tokens = {
            each: scrape.one("unitcost_token_cost_usd", type=each, **labels) for each in TYPES
        }
        same(row["cells"]["$ per 1M input"], tokens["input"], 1e6)
        if tokens["output"] is not None:  # else the cell before says why for both
            same(row["cells"]["$ per 1M output"], tokens["output"], 1e6)
        same(row["cells"]["$ per 1M, all"], tokens["all"], 1e6)
    assert training
    for row in training:
        labels = {"workload": row["head"][0], "model": "", "basis": basis}
        same(row["cells"]["$ an epoch"], scrape.one("unitcost_epoch_cost_usd", **labels))
        same(row["cells"]["$ a step"], scrape.one("unitcost_step_cost_usd", **labels))
        run = {"workload": row["head"][0], "run": row["head"][1]}
        same(row["cells"]["Spent so far"], scrape.one("unitcost_run_cost_usd", **run))


TYPES = ("input", "output", "all")


@pytest.mark.parametrize("host", [busy, drifting, partly_priced])
def test_prices_and_totals_are_those_of_metrics(show: Show, hosts: Hosts, host: Any) -> None:
    """What each holder has cost so far, what each resource costs an hour, who says so."""
    with served(hosts(host)) as (base, source, _):
        opened, scrape = show(base), parse(source.body.decode())
        holders, prices = rows(opened, "holders"), rows(opened, "prices")
        tile = opened.page.query_selector("#tiles .tile data")
        price = None if tile is None else tile.get_attribute("value")
        opened.check_quiet()
    reserved = {"Held by nobody": "__unallocated__", "System processes": "__system__"}
    for row in holders:
        if row["head"]:
            name = str(reserved.get(row["head"][0], row["head"][0]))
            total = scrape.total("unitcost_cost_usd_total", workload=name)
            assert float(row["cells"]["$ so far"]["value"]) == pytest.approx(total, rel=1e-12)
    listed = scrape.each("unitcost_price_usd_per_hour")
    shown = [row["cells"]["$ an hour"]["value"] for row in prices]
    if not listed:
        assert set(shown) == {None}
        assert "No price for its electricity." in prices[0]["cells"]["$ an hour"]["text"]
        return
    assert {float(value) for value in shown[:-1]} == set(listed.values())
    assert float(shown[-1]) == float(price or 0) == pytest.approx(sum(listed.values()), rel=1e-12)
    sources = {dict(labels)["source"] for labels in listed}
    said = {row["cells"]["Who says so"]["text"].split("\n")[0] for row in prices[:-1]}
    assert said == sources


SECTIONS = ("tiles", "chart", "now", "inference", "training", "holders", "prices", "health")


@pytest.mark.parametrize("host", [busy, unpriced, empty, hostile, crowd, drifting, not_ready])
def test_it_fits_any_width_and_nothing_goes_wrong(show: Show, hosts: Hosts, host: Any) -> None:
    """Light or dark: no sideways scrolling, all of it there, no error, nobody else is asked."""
    with served(hosts(host)) as (base, _, _):
        opened = show(base, 400, color_scheme="dark")
        check_layout(opened, 400, dark=True)
        opened.page.set_viewport_size({"width": 1600, "height": 900})
        opened.page.emulate_media(color_scheme="light")
        drawn = "document.querySelector('svg.chart')?.getAttribute('width') !== '260'"
        opened.wait_for(drawn)
        check_layout(opened, 1600, dark=False)
        opened.check_quiet()


def check_layout(opened: Opened, width: int, *, dark: bool) -> None:
    """Every section lies within the width and has something to say."""
    page = opened.page
    assert page.evaluate("document.documentElement.scrollWidth") == width
    boxes = page.evaluate(
        "(ids) => ids.map((id) => document.getElementById(id)).map((each) => {"
        " const box = each.getBoundingClientRect();"
        " return [each.innerText.trim().length, box.left, box.right]; })",
        list(SECTIONS),
    )
    for section, (length, left, right) in zip(SECTIONS, boxes, strict=True):
        assert length > 0, section
        assert 0 <= left < right <= width, section
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background)[:3])) < 200) is dark


def test_hostile_names_are_text_and_nothing_else(show: Show, hosts: Hosts) -> None:
    """They stand there as they are; no element comes of them."""
    with served(hosts(hostile)) as (base, _, _):
        opened = show(base)
        names = opened.page.eval_on_selector_all(
            "#inference th > div > bdi, #inference th > bdi",
            "all => all.map(each => each.textContent)",
        )
        elements = opened.page.evaluate(
            "[...document.querySelectorAll('main *')].map((each) => each.localName)"
        )
        assert set(HOSTILE) <= set(names)
        assert not {"img", "script", "iframe", "a", "style"} & set(elements)
        assert opened.page.title() == f"{HOSTILE[0]} · unitcost"
        assert opened.page.evaluate("document.scripts.length") == 1
        opened.check_quiet()


def test_without_a_price_there_is_no_dollar_on_it(show: Show, hosts: Hosts) -> None:
    """Unknown is said to be unknown, with its reason; never 0."""
    with served(hosts(unpriced)) as (base, _, _):
        opened = show(base)
        assert not re.search(r"\$\s?\d", opened.text("main"))
        tiles = opened.text("#tiles")
        assert tiles.count("unknown") == 5
        assert "The configuration states no price" in tiles
        assert "Unpriced: This host has no price." in opened.text("#notices")
        assert "Cannot be read now: openmetrics." in opened.text("#notices")
        assert "10 min charged to whoever held things" in opened.text("#health")
        opened.check_quiet()


def test_of_256_workloads_the_dearest_are_listed(show: Show, hosts: Hosts) -> None:
    """A dozen at first, forty on demand, and all of them in the sum."""
    with served(hosts(crowd)) as (base, _, _):
        opened = show(base)
        assert "and 244 more, together" in opened.text("#holders")
        sum_before = rows(opened, "holders")[-1]["cells"]["$ an hour"]["value"]
        button = opened.page.get_by_role("button", name="Show 28 more").first
        button.focus()
        opened.page.keyboard.press("Enter")
        assert "and 216 more, together" in opened.text("#holders")
        assert opened.page.evaluate("document.activeElement.textContent") == "Show fewer"
        assert rows(opened, "holders")[-1]["cells"]["$ an hour"]["value"] == sum_before
        opened.check_quiet()


def test_what_costs_more_than_it_used_to_is_on_top(show: Show, hosts: Hosts) -> None:
    """With the factor that did it; and who says what the host costs is all there."""
    with served(hosts(drifting)) as (base, _, _):
        opened = show(base)
        assert "Drift: chat · tiny: a request costs 42 % more than" in opened.text("#notices")
        assert "42 % above its usual" in opened.text("#inference")
        prices = opened.text("#prices")
        for said in ("spot", "aws_spot", "m7i.xlarge, eu-west-1", "list $0.300", "min ago"):
            assert said in prices
        assert "On demand it would cost $0.910 an hour." in prices
        assert "Billed in EUR, at 0.92 EUR for a US dollar" in prices
        assert "Budget: host-daily is spent: $9.25 of $8.00." in opened.text("#notices")
        budgets = opened.text("#budgets")
        assert "at least $61.50" in budgets
        assert re.search(r"3[34] % of the period is over", budgets)
        health = opened.text("#health")
        assert "$0.125 to be added to the dollars so far" in health
        assert "1.2 kg CO₂e" in health
        opened.check_quiet()


# --- For everybody ------------------------------------------------------------------------


def focused(opened: Opened) -> str:
    """What has the focus, in a word."""
    found: str = opened.page.evaluate(
        "(document.activeElement.value || document.activeElement.textContent).trim()"
    )
    return found


OUTLINES = """[document.activeElement, document.activeElement.nextElementSibling]
    .filter(Boolean).map((each) => getComputedStyle(each).outlineStyle)"""


def test_the_keyboard_reaches_everything_in_order(show: Show, hosts: Hosts) -> None:
    """Skip link, basis, the chart as a table, how parts were found, the links; focus is seen."""
    with served(hosts(small)) as (base, _, _):
        opened = show(base)
        order = []
        for _ in range(8):
            opened.page.keyboard.press("Tab")
            order.append(focused(opened))
            assert "solid" in opened.page.evaluate(OUTLINES), order[-1]
        assert order == [
            "Skip to the figures",
            "allocated",
            "As a table",
            "How each part was found",
            "/metrics",
            "/api/v1/live",
            "/-/healthy",
            "/-/ready",
        ]
        opened.check_quiet()


def test_keys_work_what_they_reach(show: Show, hosts: Hosts) -> None:
    """The link skips, arrows choose the basis, Enter opens the table; an update takes no focus."""
    with served(hosts(busy)) as (base, source, _):
        opened = show(base)
        keys = opened.page.keyboard
        keys.press("Tab")
        keys.press("Enter")
        assert opened.page.evaluate("document.activeElement.id") == "figures"
        before = opened.text("#inference")
        opened.page.focus("input[value=allocated]")
        keys.press("ArrowRight")
        assert opened.text("#inference") != before
        keys.press("ArrowLeft")
        assert opened.text("#inference") == before
        opened.page.focus("#chart summary")
        keys.press("Enter")
        opened.page.wait_for_selector("#chart table tbody tr")
        assert len(opened.page.query_selector_all("#chart tbody tr")) in range(10, 14)
        source.now = replace(source.now, tick=source.now.tick + 1)
        opened.ask_now()
        opened.wait_for("performance.getEntriesByType('resource').length > 1")
        assert focused(opened) == "As a table"
        assert opened.page.is_visible("#chart tbody tr")
        opened.check_quiet()


def test_tables_and_landmarks_are_there_for_a_screen_reader(show: Show, hosts: Hosts) -> None:
    """On a narrow screen too, where rows are drawn as blocks."""
    with served(hosts(busy)) as (base, _, _):
        opened = show(base, 400)
        page = opened.page
        for role in ("banner", "main", "contentinfo"):
            assert page.get_by_role(role).count() == 1
        table = page.get_by_role("table", name="Inference")
        assert table.get_by_role("columnheader").count() == 8
        assert table.get_by_role("rowheader").count() == 2
        image = page.get_by_role("img", name="Cost per hour by state")
        described = image.get_attribute("aria-labelledby")
        assert described == "c-title c-desc"
        text = page.locator("#c-desc").text_content() or ""
        assert "this host cost $23.92 an hour" in text
        assert page.locator("h1").inner_text() == "unitcost gpu-node-7"
        opened.check_quiet()


def test_who_wants_no_motion_gets_none(show: Show, hosts: Hosts) -> None:
    """The one thing that moves stands still."""
    with served(hosts(small)) as (base, _, _):
        style = "getComputedStyle(document.querySelector('.live .dot')).animationName"
        assert show(base).page.evaluate(style) == "pulse"
        assert show(base, reduced_motion="reduce").page.evaluate(style) == "none"


@pytest.mark.skipif(
    "UNITCOST_AXE" not in os.environ, reason="UNITCOST_AXE names no axe.min.js (CONTRIBUTING.md)"
)
@pytest.mark.parametrize("host", [busy, unpriced, empty, hostile, crowd, drifting])
@pytest.mark.parametrize(("width", "scheme"), [(400, "dark"), (1600, "light")])
def test_axe_finds_nothing(show: Show, hosts: Hosts, host: Any, width: int, scheme: str) -> None:
    """Deque's axe-core: WCAG 2.2 A and AA, and its best practices."""
    with served(hosts(host)) as (base, _, _):
        opened = show(base, width, color_scheme=scheme, bypass_csp=True)
        opened.page.evaluate(Path(os.environ["UNITCOST_AXE"]).read_text(encoding="utf-8"))
        found = opened.page.evaluate("axe.run()")
    assert found["passes"]
    assert [
        (each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]
    ] == []


# --- Freshness ----------------------------------------------------------------------------


@pytest.fixture
def away(show: Show, hosts: Hosts) -> Iterator[tuple[Opened, Callable[[], WebServer]]]:
    """A page whose exporter has gone, and what brings one back at the same port."""
    watched = hosts(small)
    with served(watched) as (base, source, server):
        source.now = replace(source.now, about=replace(source.now.about, period_seconds=1.0))
        opened = show(base)
        opened.page.wait_for_selector("#state.live")
        server.stop()
        started: list[WebServer] = []

        def back() -> WebServer:
            source.now = replace(source.now, tick=1, started_ns=2)
            started.append(WebServer("127.0.0.1", int(base.rpartition(":")[2]), source))
            started[-1].start()
            return started[-1]

        yield opened, back
        for each in started:
            each.stop()


def test_an_exporter_that_is_away_is_never_shown_as_live(
    away: tuple[Opened, Callable[[], WebServer]],
) -> None:
    """A banner says since when; old figures look old; it is announced once, and so is its end."""
    opened, back = away
    page = opened.page
    for _ in range(2):
        opened.ask_now()
    page.wait_for_selector("body.old")
    banner = opened.text("#stale")
    assert re.fullmatch(
        r"The exporter does not answer\. What you see is of \d\d:\d\d:\d\d, (now|.+ ago)\.", banner
    )
    assert opened.text("#age").startswith("Not live")
    assert page.title().startswith("(not live) ")
    assert "Figures are no longer fresh." in (page.text_content("#announce") or "")
    assert all("Failed to load resource" in each for each in opened.said)
    back()
    opened.ask_now()
    page.wait_for_selector("#state.live")
    assert page.is_hidden("#stale")
    assert not page.title().startswith("(not live)")
    assert page.text_content("#announce") == "Figures are live."


def test_figures_that_stand_still_are_not_live(show: Show, hosts: Hosts) -> None:
    """The exporter answers, but its last tick was minutes ago."""
    watched = hosts(small)
    with served(watched) as (base, source, _):
        old = replace(source.now.snapshot, wall_ns=time.time_ns() - 200 * 10**9)
        source.now = replace(source.now, snapshot=old)
        opened = show(base, ready="body.old")
        assert "its figures stand still" in opened.text("#stale")
        assert "3 min ago" in opened.text("#stale")
        opened.check_quiet()


def test_an_exporter_that_is_not_ready_is_not_called_live(show: Show, hosts: Hosts) -> None:
    """It says what it waits for."""
    with served(hosts(not_ready)) as (base, _, _):
        opened = show(base)
        assert opened.text("#age").startswith("Starting")
        assert opened.text("#about") == "not ready: the first tick is not over"
        opened.check_quiet()


def test_polling_is_cheap_and_announces_nothing(show: Show, hosts: Hosts) -> None:
    """The same tick is not sent again; who does not look does not ask."""
    watched = hosts(small)
    with served(watched) as (base, source, server):
        source.now = replace(source.now, about=replace(source.now.about, period_seconds=200.0))
        opened = show(base)
        spoken = opened.page.text_content("#announce")
        for number in range(3):
            with opened.page.expect_response(f"{base}{LIVE}") as response:
                opened.ask_now()
            assert response.value.status == 304
            assert server.answered()[LIVE, 304] == number + 1
        assert server.answered()[LIVE, 200] == 1
        assert opened.page.text_content("#announce") == spoken
        opened.page.evaluate("Object.defineProperty(document, 'hidden', { get: () => true })")
        opened.ask_now()
        opened.page.evaluate("new Promise((done) => setTimeout(done, 50))")
        assert server.answered()[LIVE, 304] == 3
        opened.check_quiet()


# --- The real exporter --------------------------------------------------------------------


SO_FAR = "#holders tr.sum td:last-child data"


def test_a_real_exporter_shows_this_machine(show: Show, tmp_path: Path) -> None:
    """Its price, its collectors, its figures going on; the numbers of /metrics."""
    settings: dict[str, Any] = {"price": {"usd_per_hour": "10"}, "period": 0.5}
    with exporter(tmp_path, gather_deadline=0.3, **settings) as running:
        running.wait_tick(3)
        opened = show(f"http://127.0.0.1:{running.port}")
        opened.page.wait_for_selector("#now table")
        scrape: Scrape = running.scrape()
        assert opened.text("#host") == socket.gethostname()
        price = opened.page.get_attribute("#tiles .tile data", "value")
        assert float(price or 0) == pytest.approx(scrape.total("unitcost_price_usd_per_hour"))
        assert opened.text("#tiles .tile:first-child .value").startswith("$10.00")
        up = {
            dict(key)["collector"]: value
            for key, value in scrape.each("unitcost_collector_up").items()
        }
        shown = {row["head"][0]: row["cells"]["State"]["text"] for row in rows(opened, "health")}
        assert shown == {name: "reads" if value else "fails" for name, value in up.items()}
        now = sum(float(row["cells"]["$ an hour"]["value"]) for row in rows(opened, "now"))
        assert now == pytest.approx(10, rel=1e-6)
        before = opened.page.get_attribute(SO_FAR, "value")
        running.wait_tick(1)
        opened.ask_now()
        opened.wait_for(f"(before) => document.querySelector('{SO_FAR}').value !== before", before)
        assert opened.page.is_visible("#state.live")
        opened.check_quiet()


def test_served_is_a_source(hosts: Hosts) -> None:
    """The stand-in says of itself what the exporter would."""
    source = Served.of(hosts(small))
    assert (source.healthy(), source.ready()) == (True, (True, ""))
