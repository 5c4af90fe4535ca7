"""Logs: one event is one line that a machine can read, whatever is in it."""

import io
import json
import logging
import re
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.exporter import log

LOGFMT_PAIR = re.compile(r'([A-Za-z0-9_.]+)=(?:"((?:[^"\\]|\\.)*)"|([^ "=\\]*))(?: |$)')


def record(message: object, level: int = logging.INFO, **values: object) -> logging.LogRecord:
    """A record as `logger.info(message, extra=fields(...))` makes it."""
    made = logging.LogRecord("unitcost.x", level, "x.py", 1, message, (), None)
    made.fields = values
    return made


def parsed(line: str) -> dict[str, str]:
    """A logfmt line read back; it must consist of pairs and nothing else."""
    pairs, position = {}, 0
    while position < len(line):
        found = LOGFMT_PAIR.match(line, position)
        assert found, line[position:]
        quoted, plain = found[2], found[3]
        pairs[found[1]] = plain if quoted is None else _unescaped(quoted)
        position = found.end()
    return pairs


def _unescaped(text: str) -> str:
    short = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}

    def character(found: re.Match[str]) -> str:
        code = found[1] or found[2]
        return chr(int(code, 16)) if code else short[found[3]]

    return re.sub(r"\\(?:u([0-9a-f]{4})|U([0-9a-f]{8})|(.))", character, text)


def test_a_logfmt_line_has_time_level_logger_message_and_fields() -> None:
    """In this order, with UTC and milliseconds."""
    made = record("tick is late", logging.WARNING, seconds=1.5, workload="a b", up=False, usd=None)
    made.created = 1767225600.0449
    assert log.LogfmtFormatter().format(made) == (
        "ts=2026-01-01T00:00:00.044Z level=warning logger=unitcost.x "
        'msg="tick is late" seconds=1.5 workload="a b" up=false usd=null'
    )


def test_a_json_line_has_the_same_with_types() -> None:
    """Numbers stay numbers, money is text, what JSON has no word for is text."""
    made = record("x", seconds=1.5, count=3, usd=Decimal("0.10"), nan=float("nan"), up=True)
    found = json.loads(log.JsonFormatter().format(made))
    assert datetime.fromisoformat(found.pop("ts")).utcoffset() is not None
    assert found == {
        "level": "info",
        "logger": "unitcost.x",
        "msg": "x",
        "seconds": 1.5,
        "count": 3,
        "usd": "0.10",
        "nan": "nan",
        "up": True,
    }


VALUES = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=50)


@given(VALUES, st.dictionaries(st.text(max_size=8), VALUES, max_size=3))
def test_whatever_is_logged_is_one_line_that_reads_back(
    message: str, values: dict[str, Any]
) -> None:
    """No value can start a line, hide another value or take its key."""
    made = record(message)
    made.fields = values
    line = log.LogfmtFormatter().format(made)
    assert line.isprintable()
    found = parsed(line)
    assert found["msg"] == message
    assert found["level"] == "info"
    text = log.JsonFormatter().format(made)
    assert text.isascii()
    assert "\n" not in text
    assert json.loads(text)["msg"] == message


@given(st.text(alphabet=st.characters(categories=["Cs", "Cc"]), max_size=10))
def test_surrogates_and_control_characters_are_escaped(value: str) -> None:
    """They could not be written, or would move the cursor."""
    log.LogfmtFormatter().format(record("x", v=value)).encode("utf-8")
    json.loads(log.JsonFormatter().format(record("x", v=value)))


def test_a_field_cannot_pretend_to_be_the_level() -> None:
    """Own keys are the record's own."""
    made = record("x")
    made.fields = {"level": "error", "a b\n": 1}
    line = log.LogfmtFormatter().format(made)
    assert parsed(line)["level"] == "info"
    assert parsed(line)["field_level"] == "error"
    assert parsed(line)["a_b_"] == "1"


def test_a_long_value_is_cut() -> None:
    """A log is no place for a megabyte."""
    assert len(log.LogfmtFormatter().format(record("x" * 10**6))) < log.MAX_VALUE + 200


@pytest.mark.parametrize("formatter", [log.LogfmtFormatter(), log.JsonFormatter()])
def test_an_exception_is_on_the_same_line(formatter: logging.Formatter) -> None:
    """With its type, its text and where it came from."""
    made = record("failed")
    try:
        raise ValueError("bad\nthing")
    except ValueError as error:
        made.exc_info = (type(error), error, error.__traceback__)
    line = formatter.format(made)
    assert "\n" not in line
    assert "ValueError: bad\\nthing" in line
    assert "test_an_exception_is_on_the_same_line" in line


def test_arguments_that_do_not_fit_do_not_lose_the_message() -> None:
    """A mistake in a log call must not hide what it wanted to say."""
    made = logging.LogRecord("unitcost.x", logging.INFO, "x.py", 1, "%d files", ("many",), None)
    assert parsed(log.LogfmtFormatter().format(made))["msg"] == "%d files"


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    """The root logger, given back as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)


def test_configure_sends_each_event_once_and_can_be_called_again(
    root_logger: logging.Logger,
) -> None:
    """As a reload does, with another format and level."""
    first, second = io.StringIO(), io.StringIO()
    log.configure("info", "logfmt", first)
    logger = logging.getLogger("unitcost.test")
    logger.debug("unseen")
    logger.info("seen", extra=log.fields(n=1))
    log.configure("debug", "json", second)
    logger.debug("both")
    assert first.getvalue().count("\n") == 1
    assert "msg=seen n=1" in first.getvalue()
    assert [json.loads(line)["msg"] for line in second.getvalue().splitlines()] == ["both"]


def test_libraries_that_talk_a_lot_are_quiet_unless_debugging(
    root_logger: logging.Logger,
) -> None:
    """APScheduler says at each tick that it ran."""
    stream = io.StringIO()
    log.configure("info", "logfmt", stream)
    logging.getLogger("apscheduler.executors.default").info("job ran")
    assert stream.getvalue() == ""
    log.configure("debug", "logfmt", stream)
    logging.getLogger("apscheduler.executors.default").info("job ran")
    assert "job ran" in stream.getvalue()


def test_once_per_says_a_thing_once_until_it_is_cleared() -> None:
    """Each kind and detail on its own."""
    once = log.OncePer()
    assert once.first("timeout", "host")
    assert not once.first("timeout", "host")
    assert once.first("timeout", "training")
    assert once.first("junk", "host")
    assert once.clear("timeout", "host")
    assert not once.clear("timeout", "host")
    assert once.first("timeout", "host")
    assert not once.first("timeout", "training")
    assert once.clear("timeout")
    assert once.first("timeout", "training")
    assert not once.first("junk", "host")


@given(st.lists(st.integers(0, 30), max_size=200), st.integers(1, 8))
def test_once_per_never_holds_more_than_its_limit(details: list[int], limit: int) -> None:
    """The last ones are remembered: something that is said all the time stays quiet."""
    once = log.OncePer(limit)
    for detail in details:
        once.first("k", str(detail))
    recent = list(dict.fromkeys(reversed(details)))[:limit]
    assert not any(once.first("k", str(detail)) for detail in recent)
    kept = [detail for detail in set(details) if once.clear("k", str(detail))]
    assert len(kept) <= limit
