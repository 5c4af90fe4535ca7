"""Asks a listening socket, once, whether it is a server that we know, and reports what came."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from unitcost.collectors import fetch
from unitcost.collectors.fetch import FetchError, FetchKind, Response
from unitcost.collectors.page import exposition
from unitcost.collectors.page.exposition import ExpositionError
from unitcost.collectors.page.recognise import AUTO, Recogniser, Unrecognised
from unitcost.collectors.tables import ServerTable

TIMEOUT = 1.0
"""Seconds for one request."""
MAX_BYTES = 1024 * 1024
_START = "process_start_time_seconds"
_SEVERAL = "it may be any of"
_UNAVAILABLE, _KEY_WANTED = 503, (401, 403)


class Outcome(StrEnum):
    """What came of asking. All but `LOADING` and `BLANK` are final for that socket."""

    FOUND = "found"
    LOADING = "loading"  # it says, or behaves as if, it is not ready yet
    BLANK = "blank"  # a known server's process has a page with nothing of that server on it yet
    LOCKED = "locked"  # it wants a key
    AMBIGUOUS = "ambiguous"  # a page of several servers that we know
    UNKNOWN = "unknown"  # no page of a server that we know


@dataclass(frozen=True, slots=True)
class Question:
    """Where to ask: each path on the first of `hosts` (as in a URL) that answers.

    `known`: its process is that of a server we know.
    """

    hosts: tuple[str, ...]
    port: int
    paths: tuple[str, ...]
    known: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it: the URL and the table if a server was found, else in words why not.

    `start`: when its process started, by its own account; None where it does not say.
    """

    outcome: Outcome
    url: str = ""
    table: ServerTable | None = None
    start: float | None = None
    detail: str = ""


Get = Callable[[str, float], Response]
"""GETs a URL within so many seconds; raises FetchError."""


def get(url: str, timeout: float) -> Response:
    """As `fetch.get`, with the limit for pages of strangers."""
    return fetch.get(url, timeout=timeout, cap=MAX_BYTES)


def ask(question: Question, recogniser: Recogniser, deadline: float, get: Get = get) -> Answer:
    """Ask until a page is recognised; `deadline` is an instant of ``time.monotonic()``."""
    answer = Answer(Outcome.UNKNOWN, detail="there is no time left")
    blank, reached = False, ""
    for host, url in _urls(question):
        if reached not in ("", host):
            break  # the same socket by another address of its own
        left = min(TIMEOUT, deadline - time.monotonic())
        if left <= 0:
            return Answer(Outcome.LOADING, detail=answer.detail)
        try:
            body = get(url, left).body
        except FetchError as error:
            answer = _failed(error, question, url)
            if error.kind is FetchKind.REFUSED and host != question.hosts[-1]:
                continue
            reached = host
            if not _may_go_on(error):
                return answer
            continue
        try:
            plan = recogniser.plan(AUTO, body)
            return Answer(Outcome.FOUND, url, plan.table, _start(body))
        except Unrecognised as error:
            if _SEVERAL in str(error):
                return Answer(Outcome.AMBIGUOUS, url, detail=str(error))
            blank, reached = True, host
            answer = Answer(Outcome.UNKNOWN, url, detail=str(error))
    if blank and question.known:
        return Answer(Outcome.BLANK, answer.url, detail=answer.detail)
    return answer


def _urls(question: Question) -> Sequence[tuple[str, str]]:
    """Where to ask, each with its host."""
    return [
        (host, f"http://{host}:{question.port}{path}")
        for host in question.hosts
        for path in question.paths
    ]


def _may_go_on(error: FetchError) -> bool:
    """Whether another path of the same server may be there, though this one is not."""
    if error.kind is FetchKind.STATUS:
        return error.status != _UNAVAILABLE and error.status not in _KEY_WANTED
    return error.kind in (FetchKind.REDIRECT, FetchKind.TOO_LARGE)


def _failed(error: FetchError, question: Question, url: str) -> Answer:
    """What an error says. Of a stranger only its own word counts that it is not ready yet."""
    outcome = Outcome.UNKNOWN
    if error.status in _KEY_WANTED:
        outcome = Outcome.LOCKED
    elif error.status == _UNAVAILABLE or (question.known and _passes(error)):
        outcome = Outcome.LOADING
    return Answer(outcome, url, detail=str(error))


def _passes(error: FetchError) -> bool:
    """Whether it may be that the server is only busy with its start."""
    broke = error.kind is FetchKind.PROTOCOL and "the connection broke" in str(error)
    return broke or error.kind in (FetchKind.TIMEOUT, FetchKind.REFUSED)


def _start(body: bytes) -> float | None:
    try:
        found = exposition.read(body, frozenset({_START})).samples.get(_START, ())
    except ExpositionError:
        return None
    return found[0].value if len(found) == 1 else None
