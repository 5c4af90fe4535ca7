"""Settings: what may be given, how durations are written, and what is refused."""

import re
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.dashboards.settings import SettingError, Settings, duration, number


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (60, "1m"),
        (5400, "1h30m"),
        (7 * 86400, "1w"),
        (7 * 86400 - 1800, "6d23h30m"),
        (0.25, "250ms"),
    ],
)
def test_durations_are_written_as_promql_has_them(seconds: float, text: str) -> None:
    """Greatest units first, none that is zero."""
    assert duration(seconds) == text


@given(st.integers(1, 10**12))
def test_a_duration_says_what_it_was_made_from(milliseconds: int) -> None:
    """To the millisecond, and never nothing."""
    sizes = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
    parts = re.findall(r"(\d+)(ms|[wdhms])", duration(milliseconds / 1000))
    assert sum(int(count) * sizes[unit] for count, unit in parts) == milliseconds


def test_no_duration_is_too_short_to_be_written() -> None:
    """``0s`` is no range."""
    assert duration(0.00001) == "1ms"


@given(st.floats(0.001, 1e9))
def test_numbers_have_no_exponent(value: float) -> None:
    """Which YAML and people would read as text."""
    assert re.fullmatch(r"\d+(\.\d+)?", number(value))
    assert float(number(value)) == pytest.approx(value, rel=1e-6)


def test_values_are_read_from_text() -> None:
    """Numbers as numbers, texts as texts, everything else as it was."""
    made = Settings().with_values({"minimum_usd_per_day": "2.5", "team": "finops"})
    assert (made.minimum_usd_per_day, made.team) == (2.5, "finops")
    assert made.window_6h == Settings().window_6h


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("speed", "1"),
        ("time_scale", "fast"),
        ("time_scale", "0"),
        ("interval", "-1"),
        ("week", "nan"),
        ("week", "inf"),
        ("idle_share", "1.5"),
        ("team", 'a"b'),
        ("team", "{{ x }}"),
        ("team", "a\\b"),
        ("team", "$1"),
        ("runbook_url", "`x`"),
        ("grafana_url", "https://x\n"),
    ],
)
def test_what_cannot_be_is_refused_by_name(name: str, text: str) -> None:
    """In one line."""
    with pytest.raises(SettingError, match=rf"^{name}: .+") as caught:
        Settings().with_values({name: text})
    assert "\n" not in str(caught.value)


def test_every_setting_says_what_it_is() -> None:
    """The documentation is made of it."""
    assert all(each.metadata["text"] for each in fields(Settings))
