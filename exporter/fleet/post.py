"""One delivery on its way: packed, sent, and what the answer means."""

import gzip
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from unitcost.collectors.fetch import MAX_TOKEN_LENGTH, FetchError, FetchKind, get
from unitcost.exporter.fleet.protocol import PATH, Delivery, encode

TIMEOUT_SECONDS = 30.0
MAX_ANSWER = 64 * 1024


class Failure(StrEnum):
    """Why an hour was not sent, in one word; the whole set, so it can be a label."""

    UNREACHABLE = "unreachable"
    UNAUTHORIZED = "unauthorized"
    UNAVAILABLE = "unavailable"
    CONFLICT = "conflict"
    REJECTED = "rejected"
    LEDGER = "ledger"


PASSING = (Failure.UNREACHABLE, Failure.UNAUTHORIZED, Failure.UNAVAILABLE, Failure.LEDGER)
"""What would befall the next hour as well: it is not tried before a while."""


class NotSent(Exception):
    """An hour is not in the fleet's ledger, as far as we know; the text has no secret in it."""

    def __init__(self, failure: Failure, why: str) -> None:
        super().__init__(why)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Central:
    """Where the fleet's ledger is; `token_file` holds a secret, read anew for each delivery."""

    url: str
    token_file: Path
    ca_file: str = ""

    def send(self, delivery: Delivery) -> None:
        """POST a delivery. Raises NotSent unless the answer says that it is stored."""
        body = gzip.compress(encode(delivery), compresslevel=6, mtime=0)
        try:
            get(
                self.url.rstrip("/") + PATH,
                timeout=TIMEOUT_SECONDS,
                cap=MAX_ANSWER,
                bearer_token=self._token(),
                ca_file=self.ca_file,
                body=body,
                headers={"Content-Encoding": "gzip"},
            )
        except FetchError as error:
            raise NotSent(_failure(error), str(error)) from None

    def _token(self) -> str:
        try:
            with self.token_file.open(encoding="ascii") as opened:
                return opened.read(MAX_TOKEN_LENGTH + 1).strip()
        except (OSError, ValueError) as error:
            why = f"its token cannot be read: {type(error).__name__}"
            raise NotSent(Failure.UNAUTHORIZED, why) from None


def _failure(error: FetchError) -> Failure:
    if error.kind is FetchKind.FORBIDDEN:
        return Failure.UNAUTHORIZED
    if error.kind is not FetchKind.STATUS:
        return Failure.UNREACHABLE
    if error.status in (401, 403):
        return Failure.UNAUTHORIZED
    if error.status == 409:
        return Failure.CONFLICT
    if error.status == 429 or error.status >= 500:
        return Failure.UNAVAILABLE
    return Failure.REJECTED
