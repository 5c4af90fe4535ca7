"""What a rule is: recordings, alerts and groups of them, before they are written as files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Severity(StrEnum):
    """How soon somebody has to look: now, today, or when there is time."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Recording:
    """A series that is computed at each evaluation; `labels` are added to the expression's."""

    record: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Value:
    """A number that an alert's text names besides its own value.

    `query` is PromQL with ``{by}`` where an aggregation says by which labels, and ``{match}`` where
    a selector says which series: the alert's own `on` labels, or none where all are asked at once.
    """

    query: str
    on: tuple[str, ...]

    def for_all(self) -> str:
        """The query for all alerts of a rule at once, one result for each."""
        return self.query.format(by=f" by ({', '.join(self.on)})", match="")


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert: when it fires, and what it says (`text.py` has the language of its texts).

    `dashboard` is the uid of the dashboard to open, `variables` the labels that it takes over.
    `means` is what the documentation says of it, `held_for` for how many seconds `expr` must hold
    before it fires.
    """

    name: str
    expr: str
    severity: Severity
    means: str
    summary: str
    description: str
    dashboard: str
    variables: tuple[str, ...] = ()
    values: Mapping[str, Value] = field(default_factory=dict)
    held_for: float = 0
    owner: str = ""


Rule = Recording | Alert


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated one after the other, so that each sees those before it."""

    name: str
    interval: float
    rules: tuple[Rule, ...]
