"""What a user may change of the rules and dashboards: durations, thresholds, links. One place.

Every duration is in seconds and is divided by `time_scale` wherever it is used, so that weeks can
be tested in minutes.
"""

import math
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

DAY = 86_400
HOUR = 3_600
MINUTE = 60


class SettingError(ValueError):
    """A setting that does not exist or cannot have that value; the text is for the user."""


def _setting(default: float, text: str) -> float:
    value: float = field(default=default, metadata={"text": text})
    return value


def _text(default: str, text: str) -> str:
    value: str = field(default=default, metadata={"text": text})
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings; `with_values` reads them from texts. Durations are in seconds."""

    time_scale: float = _setting(1, "every duration below is divided by this; for tests")
    interval: float = _setting(MINUTE, "how often rules are evaluated")
    scatter_interval: float = _setting(15 * MINUTE, "how often the usual scatter is measured anew")
    rate_window: float = _setting(5 * MINUTE, "window of rates; at least four scrapes")
    window_10m: float = _setting(10 * MINUTE, "fast drift: the short window")
    window_30m: float = _setting(30 * MINUTE, "fast drift: the long one; idle drift: the short one")
    window_1h: float = _setting(HOUR, "idle drift: the long window; slow drift: the short one")
    window_6h: float = _setting(6 * HOUR, "slow drift and idle dollars: the long window")
    baseline_window: float = _setting(HOUR, "how much around the same time counts as the same hour")
    day: float = _setting(DAY, "how far back yesterday is")
    week: float = _setting(7 * DAY, "how far back the same hour of the week is")
    scatter_window: float = _setting(6 * DAY, "over what the usual scatter is measured")
    scatter_factor: float = _setting(
        5, "how many times its usual scatter a factor must move; the floors below hold as well"
    )
    floor_price: float = _setting(0.05, "least drift of the price that is told, as a ratio less 1")
    floor_mix: float = _setting(0.08, "least drift of work per request that is told")
    floor_failures: float = _setting(0.05, "least drift of attempts per success that is told")
    floor_loading: float = _setting(0.25, "least drift by loading that is told")
    floor_idle: float = _setting(0.15, "least drift by idle time that is told")
    floor_speed: float = _setting(0.08, "least drift of busy time per work that is told")
    floor_total: float = _setting(0.4, "least drift of the whole unit cost that is told")
    minimum_requests: float = _setting(100, "requests that a window must have seen to be judged")
    minimum_steps: float = _setting(10, "the same of training steps")
    minimum_usd_per_day: float = _setting(5, "least dollars a day that a drift must cost")
    minimum_coverage: float = _setting(0.9, "least part of the units that was metered and priced")
    idle_usd_per_day: float = _setting(50, "idle dollars a day of one workload that are told")
    idle_share: float = _setting(0.5, "idle part of its cost above which they are told")
    unallocated_usd_per_day: float = _setting(50, "dollars a day held by nobody that are told")
    unallocated_share: float = _setting(0.3, "part of all cost above which they are told")
    budget_fast_ratio: float = _setting(2, "projected part of a budget that is told at once")
    budget_slow_ratio: float = _setting(1.1, "projected part of a budget that is told slowly")
    budget_elapsed: float = _setting(0.2, "part of a period before which a slow burn is not told")
    run_over_ratio: float = _setting(1.1, "how far a run may pass what was projected for it first")
    run_projected_after: float = _setting(
        0.05, "progress of a run at which its first projection is taken for good"
    )
    run_stalled_after: float = _setting(30 * MINUTE, "how long a run may make no step")
    run_waiting_share: float = _setting(0.3, "part of a run's cost that may go into waiting")
    unpriced_after: float = _setting(HOUR, "how long a host may be without a price")
    stale_price_after: float = _setting(90 * DAY, "how old a price may be")
    stale_spot_price_after: float = _setting(6 * HOUR, "how old a price of a spot host may be")
    source_down_after: float = _setting(6 * HOUR, "how long a price source may fail")
    spot_above_after: float = _setting(HOUR, "how long Spot may cost more than on demand")
    stale_data_after: float = _setting(5 * MINUTE, "how long nothing may be committed")
    collector_down_after: float = _setting(15 * MINUTE, "how long a collector may fail")
    group_wait: float = _setting(30, "how long Alertmanager gathers before it tells")
    group_interval: float = _setting(5 * MINUTE, "how long it then waits before it tells changes")
    repeat_interval: float = _setting(DAY, "how long before it tells again what goes on")
    team: str = _text("platform", "owner of what no workload's owner answers for")
    grafana_url: str = _text("", "where Grafana is, such as https://grafana.example.com")
    runbook_url: str = _text("docs/runbooks", "where the runbooks are; a folder or a URL")
    slack_url_file: str = _text(
        "/etc/alertmanager/slack-url", "the file in which Alertmanager finds its Slack webhook"
    )
    datasource_uid: str = _text("prometheus", "uid of the data source of Grafana-managed alerts")

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, str):
                if not value.isprintable() or set(value) & set(_NOT_PLAIN):
                    raise SettingError(f"{each.name}: {value!r} is no plain text")
            elif not math.isfinite(value) or value < 0 or (value == 0 and each.name in _NEVER_ZERO):
                raise SettingError(f"{each.name}: a number above 0 is needed")
        for name in ("minimum_coverage", "idle_share", "run_projected_after", "budget_elapsed"):
            if not getattr(self, name) < 1:
                raise SettingError(f"{name}: a number below 1 is needed")

    def with_values(self, texts: dict[str, str]) -> Self:
        """These settings with some given as text. Raises SettingError for what cannot be."""
        known = {each.name: each for each in fields(self)}
        values: dict[str, Any] = {}
        for name, text in texts.items():
            if name not in known:
                raise SettingError(f"{name}: no such setting, expected one of {', '.join(known)}")
            values[name] = text if isinstance(getattr(self, name), str) else _number(name, text)
        return replace(self, **values)

    def span(self, seconds: float) -> str:
        """A duration as PromQL and rule files write it, at this time scale: 90 s is ``1m30s``."""
        return duration(seconds / self.time_scale)

    def scaled(self, seconds: float) -> float:
        """Seconds at this time scale, for comparisons with ``time()``."""
        return seconds / self.time_scale


_NOT_PLAIN = '"`\\${}'
"""What texts of rules and their templates would take for something else."""

_NEVER_ZERO = frozenset(
    each.name
    for each in fields(Settings)
    if not each.name.startswith(("minimum_", "floor_", "run_projected", "budget_elapsed"))
)


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SettingError(f"{name}: {text!r} is no number") from None


def duration(seconds: float) -> str:
    """Seconds as PromQL writes them, to the millisecond: ``1w``, ``6h``, ``250ms``."""
    left = max(1, round(seconds * 1000))
    parts = []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


_UNITS = (
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
)


def number(value: float) -> str:
    """A number as PromQL writes it, without an exponent or a tail of binary digits."""
    return f"{value:.10f}".rstrip("0").rstrip(".")
