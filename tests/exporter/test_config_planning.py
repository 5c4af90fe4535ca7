"""Items, trained models, opportunity and budgets as configured: what is meant, what is refused."""

from datetime import UTC
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from unitcost.exporter.config.load import ConfigError, loads
from unitcost.exporter.config.planned import MAX_BUDGETS, MAX_ITEMS
from unitcost.exporter.settling.planning import Planning, planning_of
from unitcost.pricing.budget import Budget, BudgetPeriod
from unitcost.pricing.items import Item, ItemKey, ItemType
from unitcost.pricing.trained import RunOf, TrainedModel

HOME = {"HOME": "/nonexistent/home", "XDG_STATE_HOME": "/tmp"}  # noqa: S108 - never written to
NEW_YEAR = 1_767_225_600 * 10**9
DAY = 86_400 * 10**9

GOOD = """
timezone: Europe/Berlin
time_scale: 60
items:
  - {id: a, item: labelling, workload: tuner, run: r, usd: 100, at: 2026-01-01T00:00:00Z, note: x}
  - {id: b, item: storage, workload: tuner, usd: 0.000000000001,
     start: 2026-01-01T01:00:00+01:00, end: "2026-01-02T00:00:00+00:00"}
  - {id: c, item: other, workload: chat, model: m, usd: 4e-4, per: request,
     start: 2026-01-01T00:00:00Z}
trained_models:
  - name: support
    runs: [{workload: tuner, run: r}, {workload: sweep}]
    compute_usd: 5
    served_by: {workload: chat, model: m}
    expected_requests: 1000
  - {name: base, compute_usd: 0}
opportunity: {usd_per_gpu_hour: 2.5}
budgets:
  - {name: all, usd: 100, period: month}
  - {name: team, usd: 5, period: week, owner: search, timezone: UTC, items: true}
"""


def planning(text: str) -> Planning:
    """What a configuration means."""
    return planning_of(loads(text, environ=HOME).settings)


def test_what_is_stated_is_what_is_meant() -> None:
    """Amounts to the last digit, instants whatever their offset, zones by their names."""
    found = planning(GOOD)
    assert found.items == (
        Item(ItemKey("a", "tuner", "", "r", ItemType.LABELLING), Decimal(100), NEW_YEAR, note="x"),
        Item(
            ItemKey("b", "tuner", "", "", ItemType.STORAGE),
            Decimal("1e-12"),
            NEW_YEAR,
            NEW_YEAR + DAY,
        ),
        Item(ItemKey("c", "chat", "m", "", ItemType.OTHER, "request"), Decimal("4e-4"), NEW_YEAR),
    )
    assert found.file_items == ()
    assert found.trained_models == (
        TrainedModel(
            "support",
            (RunOf("tuner", "r"), RunOf("sweep")),
            Decimal(5),
            ("chat", "m"),
            1000,
        ),
        TrainedModel("base", (), Decimal(0)),
    )
    assert found.forgone_pico_per_hour == 25 * 10**11
    assert found.budgets == (
        Budget("all", Decimal(100), BudgetPeriod.MONTH, ZoneInfo("Europe/Berlin")),
        Budget("team", Decimal(5), BudgetPeriod.WEEK, UTC, owner="search", items=True),
    )
    assert found.shown_first_ns == 2 * 10**9


def test_without_a_word_of_it_there_is_nothing() -> None:
    """The default is the empty planning."""
    assert planning("") == Planning()


def test_an_items_file_is_relative_to_the_configuration_and_may_come_later(tmp_path: Path) -> None:
    """One that is not there yet is a warning."""
    loaded = loads("items_file: items.csv", folder=tmp_path, environ=HOME)
    assert loaded.settings.items_file == str(tmp_path / "items.csv")
    assert any("is not there yet" in warning for warning in loaded.warnings)
    assert planning_of(loaded.settings).file_items is None
    (tmp_path / "items.csv").touch()
    again = loads("items_file: items.csv", folder=tmp_path, environ=HOME)
    assert not any("items_file" in warning for warning in again.warnings)


def item(text: str) -> str:
    """A configuration with one item."""
    return f"items: [{{id: a, item: other, workload: w, usd: 1, {text}}}]"


def model(text: str) -> str:
    """A configuration with one trained model."""
    return f"trained_models: [{{name: m, {text}}}]"


def budget(text: str) -> str:
    """A configuration with one budget."""
    return f"budgets: [{{name: b, usd: 1, period: day, {text}}}]"


AT = "at: 2026-01-01T00:00:00Z"
SERVED = "compute_usd: 1, served_by: {workload: w}"
MANY = ", ".join(f"{{id: i{n}, item: other, workload: w, usd: 1, {AT}}}" for n in range(1001))
BUDGETS = ", ".join(f"{{name: b{n}, usd: 1, period: day}}" for n in range(101))

# name: (file, key that must be named, part of the message)
BAD = {
    "a type of item there is not": (
        "items: [{id: a, item: coffee, workload: w, usd: 1, per: step}]",
        "items[0].item",
        "expected data_acquisition or cleaning",
    ),
    "an item without an id": ("items: [{item: other}]", "items[0].id", "missing"),
    "an item of nobody": (item(AT).replace("w,", "'',"), "items[0].workload", "must not be empty"),
    "an item of nobody's": (
        item(AT).replace(": w", ": __unallocated__"),
        "items[0].workload",
        "is reserved",
    ),
    "an id twice": (
        item(AT).replace("]", f", {{id: a, item: other, workload: v, usd: 1, {AT}}}]"),
        "items[1].id",
        "'a' is the id of items[0] already",
    ),
    "a negative amount": (item(AT).replace("1,", "-1,", 1), "items[0].usd", "between 0 and"),
    "less than a pico-dollar": (
        item(AT).replace("usd: 1", "usd: 1e-13"),
        "items[0].usd",
        "12 digits",
    ),
    "an item of no time": (item("note: x"), "items[0]", "when is it booked?"),
    "an item with a start alone": (
        item("start: 2026-01-01T00:00:00Z"),
        "items[0]",
        "when is it booked?",
    ),
    "an item of two times": (
        item(f"{AT}, end: 2027-01-01T00:00:00Z"),
        "items[0].at",
        "either at, or",
    ),
    "an item at an instant for each step": (item(f"{AT}, per: step"), "items[0].at", "is counted"),
    "a dear step": (
        item("per: step").replace("usd: 1", "usd: 1000000.5"),
        "items[0].usd",
        "for each unit at most 1000000",
    ),
    "requests of a run": (item("per: request, run: r"), "items[0].per", "a run serves no requests"),
    "an instant without an offset": (
        item("at: 2026-01-01T00:00:00"),
        "items[0].at",
        "UTC offset missing",
    ),
    "a day": (item("at: 2026-01-01"), "items[0].at", "UTC offset missing"),
    "an item that ends when it starts": (
        item("start: 2026-01-01T00:00:00Z, end: 2026-01-01T01:00:00+01:00"),
        "items[0].end",
        "must be after start",
    ),
    "a note of two lines": (item(AT + r', note: "a\nb"'), "items[0].note", "one line"),
    "too many items": (f"items: [{MANY}]", "items", f"at most {MAX_ITEMS}"),
    "a file that is a folder": ("items_file: .", "items_file", "is not a regular file"),
    "a path with a bell": (r'items_file: "a\ab"', "items_file", "control characters"),
    "a model of nothing": (model("runs: []"), "trained_models[0]", "what made it?"),
    "a model that is served for ever": (
        model(SERVED),
        "trained_models[0].expected_requests",
        "go together",
    ),
    "requests of nobody": (
        model("compute_usd: 1, expected_requests: 5"),
        "trained_models[0].served_by",
        "go together",
    ),
    "no requests": (
        model(SERVED + ", expected_requests: 0"),
        "trained_models[0].expected_requests",
        "between 1",
    ),
    "a run twice": (
        model("runs: [{workload: w, run: r}, {workload: w, run: r}]"),
        "trained_models[0].runs[1]",
        "count twice",
    ),
    "a run of a workload that counts whole": (
        model("runs: [{workload: w, run: r}, {workload: w}]"),
        "trained_models[0].runs[0]",
        "count twice",
    ),
    "a run by a bad name": (
        model("runs: [{workload: w, run: ' r'}]"),
        "trained_models[0].runs[0].run",
        "no space at either end",
    ),
    "two models in one place": (
        f"trained_models: [{{name: a, {SERVED}, expected_requests: 1}}, "
        f"{{name: b, {SERVED}, expected_requests: 1}}]",
        "trained_models[1].served_by",
        "trained_models[0] is served there already",
    ),
    "a model twice": (
        "trained_models: [{name: a, compute_usd: 1}, {name: a, compute_usd: 1}]",
        "trained_models[1].name",
        "already",
    ),
    "an opportunity of no rate": ("opportunity: {}", "opportunity.usd_per_gpu_hour", "missing"),
    "a budget for a fortnight": (
        budget("items: true").replace("day", "fortnight"),
        "budgets[0].period",
        "expected day or week",
    ),
    "a budget of two": (budget("owner: a, workload: b"), "budgets[0].workload", "either owner or"),
    "a budget in no zone": (
        budget("timezone: Mars/Olympus"),
        "budgets[0].timezone",
        "IANA time zone",
    ),
    "a budget by a bad name": (budget("owner: ' a'"), "budgets[0].owner", "no space at either end"),
    "a budget twice": (
        budget("items: true").replace("]", ", {name: b, usd: 2, period: week}]"),
        "budgets[1].name",
        "already",
    ),
    "too many budgets": (f"budgets: [{BUDGETS}]", "budgets", f"at most {MAX_BUDGETS}"),
    "a budget of an agent that charges nothing": (
        budget("items: true") + "\nhost: {scope: units}",
        "budgets",
        "nothing is charged here",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_configuration_is_one_line_that_names_the_key(name: str, tmp_path: Path) -> None:
    """And says what is expected."""
    text, key, part = BAD[name]
    with pytest.raises(ConfigError) as caught:
        loads(text, source="unitcost.yaml", folder=tmp_path, environ=HOME)
    assert caught.value.key == key
    assert part in caught.value.problem
    assert "\n" not in str(caught.value)
