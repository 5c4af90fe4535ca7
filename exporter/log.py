"""Structured logs on standard error: one event, one line, in logfmt or JSON, with UTC time.

Whatever comes from outside (names, error texts) is escaped, so it can neither start a new line
nor move the cursor of the terminal that shows it.
"""

import json
import logging
import re
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

MAX_VALUE = 2048
"""Longest value in characters; the rest is cut off."""
MAX_TRACEBACK = 8192

_KEY = re.compile(r"[^A-Za-z0-9_.]", re.ASCII)
_OWN = frozenset({"ts", "level", "logger", "msg", "error", "traceback"})
_CHATTY = ("apscheduler", "uvicorn.access", "asyncio")


class LogfmtFormatter(logging.Formatter):
    """``ts=2026-01-31T12:00:00.000Z level=info logger=unitcost.x msg="…" key=value``."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        return " ".join(f"{key}={_logfmt_value(value)}" for key, value in _items(record))


class JsonFormatter(logging.Formatter):
    """One JSON object on one line, ASCII only."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        return json.dumps({key: _json_value(value) for key, value in _items(record)})


def configure(
    level: Literal["debug", "info", "warning", "error"] = "info",
    format: Literal["logfmt", "json"] = "logfmt",
    stream: TextIO | None = None,
) -> None:
    """Send all logs of this process to `stream` (standard error); may be called again."""
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonFormatter() if format == "json" else LogfmtFormatter())
    root = logging.getLogger()
    for old in list(root.handlers):
        if isinstance(old.formatter, LogfmtFormatter | JsonFormatter):
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in _CHATTY:
        quiet = logging.NOTSET if level == "debug" else logging.WARNING
        logging.getLogger(name).setLevel(quiet)


def fields(**values: Any) -> dict[str, dict[str, Any]]:
    """For `extra`: ``logger.info("tick is late", extra=fields(seconds=1.5))``."""
    return {"fields": values}


def _items(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    at = datetime.fromtimestamp(record.created, UTC)
    yield "ts", f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"
    yield "level", record.levelname.lower()
    yield "logger", record.name
    yield "msg", _message(record)
    extra = getattr(record, "fields", None)
    if isinstance(extra, Mapping):
        for key, value in extra.items():
            name = _KEY.sub("_", str(key)) or "_"
            yield (f"field_{name}" if name in _OWN else name), value
    yield from _exception(record)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return str(record.msg)  # arguments that do not fit must not lose the message


def _exception(record: logging.LogRecord) -> Iterator[tuple[str, str]]:
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        yield "error", f"{type(error).__name__}: {error}"
        text = logging.Formatter().formatException(record.exc_info)
        yield "traceback", text[-MAX_TRACEBACK:]


def _json_value(value: Any) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and value - value == 0:
        return value
    return _cut(value)


def _logfmt_value(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = _cut(value)
    if text and text.isprintable() and not any(ch in ' "=\\' for ch in text):
        return text
    escaped = "".join(_escape(ch) for ch in text)
    return f'"{escaped}"'


def _escape(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    short = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character)
    code = ord(character)
    return short or (f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")


def _cut(value: Any) -> str:
    text = str(value)
    limit = MAX_TRACEBACK if "\n" in text else MAX_VALUE
    return text if len(text) <= limit else text[:limit] + "…"


class OncePer:
    """Says whether something is new: each (kind, detail) once, and again only when cleared.

    Holds at most `limit` of them: beyond that the oldest is forgotten, and may be said again.
    """

    def __init__(self, limit: int = 1024) -> None:
        self._limit = limit
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._lock = threading.Lock()

    def first(self, kind: str, detail: str = "") -> bool:
        """True the first time, and the first time after `clear`."""
        key = (kind, detail)
        with self._lock:
            if key in self._seen:
                self._seen.move_to_end(key)
                return False
            self._seen[key] = None
            if len(self._seen) > self._limit:
                self._seen.popitem(last=False)
            return True

    def clear(self, kind: str, detail: str | None = None) -> bool:
        """It is over (all details of the kind if None). True if it had been said: say so."""
        with self._lock:
            gone = [key for key in self._seen if key[0] == kind and detail in (None, key[1])]
            for key in gone:
                del self._seen[key]
            return bool(gone)
