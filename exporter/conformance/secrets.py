"""The secrets that a plugin is given in a check, and what is logged while it has them."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

MAX_SECRET = 16_384
TOLD = 12
"""So many characters of a secret give it away."""
_TOKEN = re.compile(r"[A-Za-z0-9+/_.-]{8,}", re.ASCII)
_WORD = re.compile(r"[a-z_.-]+", re.ASCII)


def secrets_of(options: Any, folder: Path) -> Iterator[str]:
    """What is in the files that options called ``*_file`` name."""
    values = msgspec.structs.asdict(options) if isinstance(options, msgspec.Struct) else {}
    for name, value in values.items():
        if name.endswith("_file") and isinstance(value, str) and value:
            try:
                text = (folder / value).read_text(encoding="utf-8", errors="replace")
            except (OSError, ValueError):
                continue
            # Names of keys, such as aws_secret_access_key, are no secrets.
            tokens = _TOKEN.findall(text[:MAX_SECRET])
            yield from (token for token in tokens if not _WORD.fullmatch(token))


@contextmanager
def logged() -> Iterator[list[str]]:
    """What is logged meanwhile, by anybody."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.getMessage()} {record.__dict__}")

    handler = Keep()
    logging.getLogger().addHandler(handler)
    try:
        yield lines
    finally:
        logging.getLogger().removeHandler(handler)
