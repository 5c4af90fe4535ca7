"""Who may deliver: bearer tokens from a file, each for one host or for any."""

import hashlib
import hmac
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from unitcost.exporter.log import OncePer

_log = logging.getLogger(__name__)
MAX_BYTES = 4 * 1024 * 1024
SHORTEST = 16
ANY_HOST = "*"


class BadTokens(Exception):
    """The file is of no use; the text has no token in it."""


@dataclass(frozen=True, slots=True)
class _Entry:
    host: str
    digest: bytes


class Tokens:
    """The tokens as the file has them now. A file that became bad changes nothing."""

    def __init__(self, path: Path) -> None:
        """Raises BadTokens."""
        self._path = path
        self._said = OncePer()
        self._seen = self._changed()
        self._entries = _read(path)

    def hosts(self, authorization: str) -> frozenset[str]:
        """For which hosts an Authorization header is good; `*` is any. Nothing where for none.

        All tokens are compared, each in constant time: how long it takes tells nobody which one.
        """
        self._follow()
        scheme, _, token = authorization.partition(" ")
        given = _digest(token.strip())
        found = {entry.host for entry in self._entries if hmac.compare_digest(entry.digest, given)}
        return frozenset(found) if scheme.lower() == "bearer" else frozenset()

    def _follow(self) -> None:
        changed = self._changed()
        if changed == self._seen:
            return
        self._seen = changed
        try:
            self._entries = _read(self._path)
            _log.info("tokens are read again")
        except BadTokens as error:
            if self._said.first("tokens", str(error)):
                _log.error("tokens are as they were: %s", error)

    def _changed(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino


def _read(path: Path) -> tuple[_Entry, ...]:
    try:
        with path.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
        text = data.decode()
    except (OSError, UnicodeError) as error:
        raise BadTokens(f"{path} cannot be read: {type(error).__name__}") from None
    if len(data) > MAX_BYTES:
        raise BadTokens(f"{path} is larger than {MAX_BYTES} bytes")
    lines = enumerate(text.splitlines(), 1)
    entries = tuple(
        _entry(path, number, line.split())
        for number, line in lines
        if line.strip() and not line.lstrip().startswith("#")
    )
    if not entries:
        raise BadTokens(f"{path} has no token in it")
    return entries


def _entry(path: Path, number: int, words: list[str]) -> _Entry:
    if len(words) != 2:
        raise BadTokens(f"{path}:{number}: expected HOST TOKEN (or * for any host)")
    if len(words[1]) < SHORTEST:
        raise BadTokens(f"{path}:{number}: the token has less than {SHORTEST} characters")
    return _Entry(words[0], _digest(words[1]))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
