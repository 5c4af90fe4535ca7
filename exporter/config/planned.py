"""What is planned, from sections to the pricing core's types: items, trained models, budgets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from unitcost.exporter.config.checks import is_timezone, name_problem
from unitcost.exporter.config.decode import Mistake, shown
from unitcost.exporter.config.instants import instant, instant_ns
from unitcost.pricing.budget import Budget, BudgetPeriod
from unitcost.pricing.items import (
    MAX_USD_PER_UNIT,
    SERVED,
    Item,
    ItemKey,
    ItemType,
    ItemUnit,
)
from unitcost.pricing.trained import RunOf, TrainedModel

if TYPE_CHECKING:
    from unitcost.exporter.config.planning import (
        BudgetSettings,
        ItemSettings,
        TrainedModelSettings,
    )
    from unitcost.exporter.config.settings import Settings
    from unitcost.exporter.config.yaml_strict import Path

MAX_ITEMS = 1000
MAX_TRAINED_MODELS = 100
MAX_BUDGETS = 100
MAX_NOTE_BYTES = 500


def planning_mistakes(settings: Settings) -> Iterator[Mistake]:
    """Every mistake in items, trained models and budgets that decoded well."""
    yield from _too_many("items", len(settings.items), MAX_ITEMS)
    for index, item in enumerate(settings.items):
        yield from item_mistakes(item, ("items", index))
    yield from _same("items", "id", [item.id for item in settings.items])
    if not settings.items_file.isprintable():
        problem = f"must have no control characters, got {shown(settings.items_file)}"
        yield Mistake(("items_file",), problem)
    yield from _trained_models(settings.trained_models)
    yield from _too_many("budgets", len(settings.budgets), MAX_BUDGETS)
    for index, budget in enumerate(settings.budgets):
        yield from _budget(budget, ("budgets", index))
    yield from _same("budgets", "name", [budget.name for budget in settings.budgets])
    if settings.budgets and settings.host.scope == "units":
        yield Mistake(("budgets",), "with host.scope units nothing is charged here")


def item_mistakes(item: ItemSettings, path: Path) -> Iterator[Mistake]:
    """Every mistake in one item, wherever it is stated."""
    for key in ("id", "workload", "model", "run"):
        problem = name_problem(getattr(item, key), empty=key in ("model", "run"))
        if problem:
            yield Mistake((*path, key), problem)
    if not item.note.isprintable() or len(item.note.encode()) > MAX_NOTE_BYTES:
        problem = f"must be one line of at most {MAX_NOTE_BYTES} bytes"
        yield Mistake((*path, "note"), problem)
    yield from _booking(item, path)
    for key in ("at", "start", "end"):
        if text := getattr(item, key):
            try:
                instant(text)
            except ValueError as error:
                yield Mistake((*path, key), str(error))
                return
    if item.start and item.end and instant(item.end) <= instant(item.start):
        yield Mistake((*path, "end"), "must be after start")


def _booking(item: ItemSettings, path: Path) -> Iterator[Mistake]:
    """An item is booked at an instant, over a period, or by units."""
    if item.per:
        if item.usd > MAX_USD_PER_UNIT:
            yield Mistake((*path, "usd"), f"for each unit at most {MAX_USD_PER_UNIT}")
        if item.at:
            yield Mistake((*path, "at"), "with per an item is counted: start and end may limit it")
        if item.run and item.per in SERVED:
            problem = f"a run serves no {item.per}s, expected step, sample or epoch"
            yield Mistake((*path, "per"), problem)
    elif item.at and (item.start or item.end):
        yield Mistake((*path, "at"), "expected either at, or start and end")
    elif not item.at and not (item.start and item.end):
        yield Mistake(path, "when is it booked? expected at, or start and end, or per")


def _trained_models(models: Sequence[TrainedModelSettings]) -> Iterator[Mistake]:
    yield from _too_many("trained_models", len(models), MAX_TRAINED_MODELS)
    for index, model in enumerate(models):
        yield from _trained_model(model, ("trained_models", index))
    yield from _same("trained_models", "name", [model.name for model in models])
    places: dict[tuple[str, str], int] = {}
    for index, model in enumerate(models):
        if model.served_by is not None:
            place = (model.served_by.workload, model.served_by.model)
            first = places.setdefault(place, index)
            if first != index:
                problem = f"trained_models[{first}] is served there already"
                yield Mistake(("trained_models", index, "served_by"), problem)


def _trained_model(model: TrainedModelSettings, path: Path) -> Iterator[Mistake]:
    named: list[tuple[Path, str, bool]] = [((*path, "name"), model.name, False)]
    for index, run in enumerate(model.runs):
        named.append(((*path, "runs", index, "workload"), run.workload, False))
        named.append(((*path, "runs", index, "run"), run.run, True))
    if model.served_by is not None:
        named.append(((*path, "served_by", "workload"), model.served_by.workload, False))
        named.append(((*path, "served_by", "model"), model.served_by.model, True))
    for where, name, empty in named:
        if problem := name_problem(name, empty=empty):
            yield Mistake(where, problem)
    if not model.runs and model.compute_usd is None:
        yield Mistake(path, "what made it? expected runs, or compute_usd")
    if (model.served_by is None) != (model.expected_requests is None):
        key = "served_by" if model.served_by is None else "expected_requests"
        yield Mistake((*path, key), "missing: served_by and expected_requests go together")
    whole = {run.workload for run in model.runs if not run.run}
    seen = set()
    for index, run in enumerate(model.runs):
        if run in seen or (run.run and run.workload in whole):
            yield Mistake((*path, "runs", index), "it would count twice")
        seen.add(run)


def _budget(budget: BudgetSettings, path: Path) -> Iterator[Mistake]:
    for key in ("name", "owner", "workload"):
        if problem := name_problem(getattr(budget, key), empty=key != "name"):
            yield Mistake((*path, key), problem)
    if budget.owner and budget.workload:
        yield Mistake((*path, "workload"), "expected either owner or workload, or neither")
    if budget.timezone and not is_timezone(budget.timezone):
        zone = shown(budget.timezone)
        problem = f"expected an IANA time zone such as Europe/Paris, got {zone}"
        yield Mistake((*path, "timezone"), problem)


def _too_many(key: str, count: int, most: int) -> Iterator[Mistake]:
    if count > most:
        yield Mistake((key,), f"at most {most}, got {count}")


def _same(section: str, key: str, names: Sequence[str]) -> Iterator[Mistake]:
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        if first.setdefault(name, index) != index:
            problem = f"{shown(name)} is the {key} of {section}[{first[name]}] already"
            yield Mistake((section, index, key), problem)


def item_of(item: ItemSettings) -> Item:
    """An item that was checked."""
    unit = ItemUnit(item.per) if item.per else ""
    key = ItemKey(item.id, item.workload, item.model, item.run, ItemType(item.item), unit)
    start = item.at or item.start
    return Item(
        key,
        item.usd,
        instant_ns(start) if start else None,
        instant_ns(item.end) if item.end else None,
        item.note,
    )


def budget_of(budget: BudgetSettings, timezone: str) -> Budget:
    """A budget that was checked; `timezone`: where it names none."""
    period, zone = BudgetPeriod(budget.period), zone_of(budget.timezone or timezone)
    return Budget(
        budget.name, budget.usd, period, zone, budget.owner, budget.workload, budget.items
    )


def zone_of(name: str) -> tzinfo:
    """A time zone by its name; UTC is known even where the system has no time zone data."""
    return UTC if name == "UTC" else ZoneInfo(name)


def trained_model_of(model: TrainedModelSettings) -> TrainedModel:
    """A trained model that was checked."""
    served = model.served_by
    return TrainedModel(
        model.name,
        tuple(RunOf(run.workload, run.run) for run in model.runs),
        model.compute_usd,
        None if served is None else (served.workload, served.model),
        model.expected_requests,
    )
