"""Sections about money that is not the host's: items, trained models, opportunity, budgets."""

from decimal import Decimal
from typing import Annotated, Literal

from unitcost.exporter.config.section import Section, Usd, UsdPerHour, between


class ItemSettings(Section, frozen=True):
    """What was paid for beside compute: at an instant, over a period, or for each unit."""

    id: str
    """Its name for ever: what was booked under it is not booked again."""
    item: Literal[
        "data_acquisition",
        "cleaning",
        "labelling",
        "storage",
        "egress",
        "personnel",
        "failed_runs",
        "evaluation",
        "tooling",
        "other",
    ]
    workload: str
    usd: Usd
    """All of it; with `per`, for each unit."""
    model: str = ""
    run: str = ""
    at: str = ""
    """ISO 8601 with offset, as `start` and `end`."""
    start: str = ""
    end: str = ""
    per: Literal["", "request", "token", "step", "sample", "epoch"] = ""
    note: str = ""
    """For whoever audits it: an invoice's number, who approved it."""


class TrainingRun(Section, frozen=True):
    """A run; all of the workload where `run` is left out."""

    workload: str
    run: str = ""


class ServedBy(Section, frozen=True):
    """Who serves a trained model; all of the workload's models where `model` is left out."""

    workload: str
    model: str = ""


class TrainedModelSettings(Section, frozen=True):
    """A model, what made it, and what serves it."""

    name: str
    runs: tuple[TrainingRun, ...] = ()
    compute_usd: Usd | None = None
    """Compute that was paid for elsewhere."""
    served_by: ServedBy | None = None
    expected_requests: Annotated[int, between("1", "1000000000000000")] | None = None


class Opportunity(Section, frozen=True):
    """What an idle GPU's hour would have cost or earned otherwise: for a memo alone."""

    usd_per_gpu_hour: UsdPerHour


class BudgetSettings(Section, frozen=True):
    """So much for each period of the calendar: for a workload, an owner, or the whole host."""

    name: str
    usd: Annotated[Decimal, between("0", "1000000000000")]
    period: Literal["day", "week", "month", "quarter", "year"]
    owner: str = ""
    workload: str = ""
    timezone: str = ""
    """IANA name; the settings' where it is left out."""
    items: bool = False
    """Whether items count, too."""
