"""Drift: each factor fires its own alert and names itself; nothing fires without a cause."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.dashboards.promtool import Alerts, check_alerts, firing
from tests.dashboards.stories import STEP, Load, Server, counter, gauge, series

BEFORE, AFTER = 180, 141
"""Minutes of the usual load, with the baseline from 150 on, and of what comes then."""

SOON, HALF_WAY, END = BEFORE + 30, BEFORE + 69, BEFORE + AFTER

USUAL = Load()
EMPTY = replace(USUAL, seconds_per_output=0.001, usd_per_gpu_hour=1.7)
"""Idle for the most part: with less load it is hardly more idle, and a request far dearer."""
FAST, SLOW, IDLE = "UnitcostDriftFast", "UnitcostDriftSlow", "UnitcostIdleDrift"
TOTAL = "UnitcostDriftTotal"
ALL = (FAST, SLOW, IDLE, TOTAL)


def changed(name: str, load: Load, usual: Load = USUAL) -> Server:
    """A server whose load changes for good."""
    return Server(name, ((BEFORE, usual), (AFTER, load)))


def _drifting() -> tuple[Server, ...]:
    """One for each factor, one that gets cheaper, and one that stays as it is."""
    return (
        Server("steady", ((BEFORE + AFTER, USUAL),)),
        changed("dearer", USUAL.scaled(usd_per_gpu_hour=1.25)),
        changed("longer", USUAL.scaled(input_tokens=1.5, output_tokens=1.5)),
        changed("slower", USUAL.scaled(busy_per_second=1.4)),
        changed("failing", USUAL.scaled(failed=30)),
        changed("idler", USUAL.scaled(requests=0.4, failed=0.4)),
        changed("emptier", EMPTY.scaled(requests=0.4, failed=0.4), EMPTY),
        changed("starting", replace(USUAL, loading=0.35)),
        changed("cheaper", USUAL.scaled(usd_per_gpu_hour=0.5)),
    )


def _steps(count: int, minutes: int, by: float) -> list[tuple[float, Load]]:
    """Requests that get longer, little by little."""
    return [
        (minutes, USUAL.scaled(input_tokens=by**step, output_tokens=by**step))
        for step in range(1, count + 1)
    ]


def _not_worth_telling() -> tuple[Server, ...]:
    """Too few requests or dollars, too little of it metered, a burst, one without a past."""
    dearer = {"usd_per_gpu_hour": 1.5}
    quiet = replace(USUAL, requests=0.5, failed=0)
    cheap = replace(USUAL, usd_per_gpu_hour=0.1)
    burst = USUAL.scaled(input_tokens=1.5, output_tokens=1.5)
    return (
        changed("quiet", quiet.scaled(**dearer), quiet),
        changed("cheap", cheap.scaled(**dearer), cheap),
        Server("faded", ((BEFORE - 39, USUAL), (39, quiet), (AFTER, quiet.scaled(**dearer)))),
        changed("grown", USUAL.scaled(**dearer), quiet),
        Server(
            "unmetered",
            ((BEFORE, USUAL), (AFTER, USUAL.scaled(**dearer))),
            coverage=((BEFORE + AFTER, 0.8),),
        ),
        # It can be judged again when it is over: the long window still sees it.
        Server(
            "over",
            ((BEFORE, USUAL), (51, USUAL.scaled(**dearer)), (AFTER - 51, USUAL)),
            coverage=((BEFORE + 63, 0.8), (AFTER - 63, 1)),
        ),
        Server("burst", ((BEFORE, USUAL), (9, burst), (AFTER - 9, USUAL))),
        Server("new", ((99, USUAL),)),
        Server("growing", ((BEFORE, USUAL), *_steps(7, 21, 1.03))),
    )


def _restarting() -> Iterable[tuple[str, str]]:
    """Counters that start anew after the minute of change."""
    for name, text in Server("restarted", ((BEFORE + AFTER, USUAL),)).series():
        counts = not name.startswith(("unitcost_workload", "unitcost_unit"))
        yield name, _restarted(text) if counts else text


def _moved() -> tuple[Server, ...]:
    """A replica that goes with its load; a price that goes up and back."""
    half = USUAL.scaled(requests=0.5, failed=0.5, gpus=0.5)
    up = USUAL.scaled(usd_per_gpu_hour=1.2)
    return (
        Server("scaled", ((BEFORE + AFTER, half),)),
        Server("scaled", ((BEFORE, half),), labels={"instance": "host-2"}),
        Server("back", ((BEFORE, USUAL), (51, up), (AFTER - 51, USUAL))),
    )


def _without_model() -> Iterable[tuple[str, str]]:
    """While a server loads it has told no model yet."""
    yield from Server("nameless", ((BEFORE + AFTER, USUAL),)).series()
    labels = {"workload": "nameless", "model": "", "resource": "gpu:GPU-1", "state": "loading"}
    held, usd = counter((BEFORE, 0), (AFTER, 60)), counter((BEFORE, 0), (AFTER, 0.2))
    yield series("unitcost_held_seconds_total", held, **labels)
    yield series("unitcost_cost_usd_total", usd, kind="inference", **labels)


Found = dict[tuple[str, int], Alerts]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, real_tool: Callable[[str], Path]) -> Found:
    """Who fires what, before the change and after it, as promtool finds it."""
    servers = (*_drifting(), *_not_worth_telling(), *_moved())
    inputs = [each for server in servers for each in server.series()]
    inputs += [*_restarting(), *_without_model()]
    moments = [(name, minute) for name in ALL for minute in (BEFORE, SOON, HALF_WAY, END)]
    folder = tmp_path_factory.mktemp("drift")
    return check_alerts(real_tool("promtool"), folder, "drift", inputs, moments)


@pytest.mark.real
def test_nothing_fires_before_anything_changes(found: Found) -> None:
    """All of them are as they were yesterday."""
    assert [name for name in ALL if _drifts(found, name, BEFORE)] == []


@pytest.mark.real
def test_price_mix_failures_and_speed_are_told_within_half_an_hour(found: Found) -> None:
    """Each by its own name, and by its owner's."""
    told = {
        ("dearer", "price"),
        ("longer", "mix"),
        ("slower", "speed"),
        ("failing", "failures"),
    }
    assert _drifts(found, FAST, SOON) == told | {("back", "price")}
    assert _drifts(found, FAST, END) == told
    assert firing(found[FAST, END], "owner", "severity") == {("search", "warning")}


@pytest.mark.real
def test_loading_is_told_slowly_and_idle_time_by_the_hour(found: Found) -> None:
    """What is on no model while a server loads counts for the one that it has."""
    slow = _drifts(found, SLOW, END)
    assert slow == {("starting", "loading"), ("nameless", "loading")}
    assert firing(found[SLOW, END], "model") == {("llama",)}
    assert _drifts(found, IDLE, END) == {("idler", "idle")}


@pytest.mark.real
def test_the_total_is_told_with_its_cause(found: Found) -> None:
    """It fires where the whole cost is up and no factor's alert fires, and says by which most."""
    assert _drifts(found, TOTAL, END) == {("emptier", "idle")}


@pytest.mark.real
def test_what_was_told_and_is_over_is_not_told_again(found: Found) -> None:
    """The slow windows still see it then."""
    assert _drifts(found, FAST, HALF_WAY) >= {("back", "price")}
    for alert in (SLOW, TOTAL):
        assert ("back",) not in _who(found, alert)


@pytest.mark.real
def test_a_drift_ends_without_flapping(found: Found) -> None:
    """Half way back it is below the threshold where it began, and still told; then it is not."""
    assert ("back", "price") in _drifts(found, FAST, HALF_WAY)
    assert ("back", "price") not in _drifts(found, FAST, END)


@pytest.mark.real
@pytest.mark.parametrize("name", ["steady", "cheaper", "restarted", "scaled", "new", "burst"])
def test_what_is_no_drift_is_not_told(found: Found, name: str) -> None:
    """A restart, a replica that goes with its load, a burst that one window sees, a saving."""
    assert [alert for alert in ALL if (name,) in _who(found, alert)] == []


@pytest.mark.real
def test_what_moves_slowly_is_not_told_fast(found: Found) -> None:
    """A mix that is 23 % up by the end, and never more than it was before by its threshold."""
    assert ("growing",) not in _who(found, FAST)


@pytest.mark.real
@pytest.mark.parametrize("name", ["quiet", "cheap", "unmetered", "faded", "grown", "over"])
def test_what_is_not_worth_telling_is_not_told(found: Found, name: str) -> None:
    """Too few requests, now or usually; too few dollars; too little of it metered; over by now."""
    for alert in (FAST, IDLE) if name in ("quiet", "cheap", "unmetered") else (FAST,):
        assert (name,) not in _who(found, alert)
    if name in ("cheap", "unmetered"):  # over hours the others have requests enough
        assert [alert for alert in (SLOW, TOTAL) if (name,) in _who(found, alert)] == []


TOLD_OTHERWISE = {"faded", "grown", "over"}
"""Their load changes as well, or hours still show it: other alerts tell that, and rightly."""


def _drifts(found: Found, alert: str, minute: int) -> set[tuple[str, ...]]:
    told = firing(found[alert, minute], "workload", "factor")
    return {each for each in told if each[0] not in TOLD_OTHERWISE}


def _who(found: Found, alert: str) -> set[tuple[str, ...]]:
    moments = (BEFORE, SOON, HALF_WAY, END)
    return {who for minute in moments for who in firing(found[alert, minute], "workload")}


def _restarted(text: str) -> str:
    """The same counter, from 0 again in the middle of what would be the drift."""
    start, grows = text.split("x")[0].split("+")
    assert start == "0"
    steps = (BEFORE + 9) // STEP
    return f"0+{grows}x{steps} 0+{grows}x{AFTER // STEP - 4}"


def test_the_stories_are_what_they_seem() -> None:
    """Counters grow on from where they were; gauges hold."""
    assert counter((6, 1), (6, 10)) == "0+3x2 36+30x1"
    assert gauge((6, 1), (6, None)) == "1+0x2 _x2"
