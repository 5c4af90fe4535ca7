"""Whole metrics pages as a torn, buggy or hostile server may send them, reproducibly."""

import gzip
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import unitcost.collectors.servers
from tests.collectors.mutations import mutate
from tests.collectors.reading import example_tables
from unitcost.collectors.base import discover
from unitcost.collectors.page.table_reading import Plan, has_marker, make_plan
from unitcost.collectors.tables import ServerTable

CAPTURES = Path(__file__).parent.parent / "captures"
SECRET = "sk-canary-5f1d0c"  # noqa: S105 - stands for what a page must not bring into a log
_VALUES = (
    *("NaN", "+Inf", "-Inf", "-1", "-0", "0", "1e400", "-1e400", "5e-324", "9007199254740992"),
    *(
        "9007199254740991",
        "1.7976931348623157e308",
        "0x10",
        "1_0",
        "\u0661",
        "",
        "1 2 3",
        "1e",
        "--1",
    ),
)
_INJECTED = (
    *('"', "\\", "\n", "}", "{", ",", '",x="y', '"} 999\nx_total{a="b', "\\n", "\\x", "\r", "\t"),
    *('\\"} 1\n', "\u2028", "\u202e", "\x00", "\x1b[2J", "\x7f", "é" * 300, "a" * 5000),
    *("__unallocated__", "__untracked__", " ", "", "\ufeff", "\U0001f4b8", SECRET),
)
_BYTES = (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x00", b"\xe2\x82", b"\x1a")
_VALUE = re.compile(r"(?<=[ }])[^ {}\"\n]+$", re.MULTILINE)
_LABEL = re.compile(r'(?<==")[^"\n]*')


@dataclass(frozen=True)
class Page:
    """A metrics page and the table by which it is read."""

    name: str
    plan: Plan
    body: bytes


def tables() -> list[ServerTable]:
    """All tables built in, and those of the example in the docs."""
    found = discover(unitcost.collectors.servers, "SERVER")
    built_in = {item.module.SERVER.name: item.module.SERVER for item in found if item.module}
    return list({**example_tables(), **built_in}.values())


def pages(captures: Path = CAPTURES) -> list[Page]:
    """Each capture once for each table that has its marker."""
    found = []
    for file in sorted(captures.rglob("*.prom")):
        body = file.read_bytes()
        fitting = [table for table in tables() if has_marker(body, table)]
        found += [Page(f"{file.stem}:{t.name}", make_plan(t), body) for t in fitting]
    return found


def condensed(page: Page) -> Page:
    """The lines of it that the table looks at, and a few others: what damage can matter to."""
    kept, others = [], 0
    wanted = page.plan.wanted | page.plan.created
    for line in page.body.decode().splitlines(keepends=True):
        name = line.split(" ")[2] if line.startswith("# TYPE") else re.split("[ {]", line)[0]
        if any(each.startswith(name) for each in wanted):
            kept.append(line)
        elif others < 5:
            others += 1
            kept.append(line)
    return Page(page.name, page.plan, "".join(kept).encode())


def damaged(page: Page, others: Sequence[Page], rng: random.Random) -> bytes:
    """The page with one to four wounds; now and then none of it is left as it was."""
    body = page.body
    for _ in range(rng.choice((1, 1, 2, 4))):
        body = rng.choice(_WOUNDS)(body, others, rng)
    return body


def series(count: int, line: str) -> bytes:
    """A page of so many series; `line` has one ``%d``."""
    return "".join(line % number for number in range(count)).encode()


def _lines(body: bytes) -> list[bytes]:
    return body.splitlines(keepends=True) or [b"\n"]


def _text(body: bytes) -> str:
    return body.decode("utf-8", "surrogateescape")


def _flip(body: bytes, _: Sequence[Page], rng: random.Random) -> bytes:
    changed = bytearray(body or b"\n")
    for _times in range(rng.choice((1, 1, 8, 64))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(body: bytes, _: Sequence[Page], rng: random.Random) -> bytes:
    return body[: rng.randrange(len(body) + 1)]


def _insert_bytes(body: bytes, _: Sequence[Page], rng: random.Random) -> bytes:
    at = rng.randrange(len(body) + 1)
    return body[:at] + rng.choice(_BYTES) + body[at:]


def _wound_text(body: bytes, _: Sequence[Page], rng: random.Random) -> bytes:
    return mutate(_text(body), rng).encode("utf-8", "surrogatepass")


def _repeat_lines(body: bytes, _: Sequence[Page], rng: random.Random) -> bytes:
    lines = _lines(body)
    at = rng.randrange(len(lines))
    some = lines[at : at + rng.randint(1, 5)]
    return b"".join(lines[:at] + some * rng.choice((2, 3, 20)) + lines[at:])


def _shuffle(body: bytes, _: Sequence[Page], rng: random.Random) -> bytes:
    lines = _lines(body)
    rng.shuffle(lines)
    return b"".join(lines)


def _drop_lines(body: bytes, _: Sequence[Page], rng: random.Random) -> bytes:
    part = rng.random()
    return b"".join(line for line in _lines(body) if rng.random() < part)


def _splice(body: bytes, others: Sequence[Page], rng: random.Random) -> bytes:
    """Lines of another server's page, or halves of two lines in one."""
    mine, theirs = _lines(body), _lines(rng.choice(others).body)
    at, from_ = rng.randrange(len(mine)), rng.randrange(len(theirs))
    if rng.random() < 0.5:
        return b"".join(mine[:at] + theirs[from_ : from_ + 10] + mine[at:])
    first, second = mine[at], theirs[from_]
    joined = first[: rng.randrange(len(first))] + second[rng.randrange(len(second)) :]
    return b"".join([*mine[:at], joined, *mine[at + 1 :]])


def _change(pattern: re.Pattern[str], choices: Sequence[str]) -> Callable[..., bytes]:
    """Put one of the choices where the pattern matches: once, or everywhere."""

    def change(body: bytes, _: Sequence[Page], rng: random.Random) -> bytes:
        text, part = _text(body), rng.choice((0.05, 0.3, 1.0))
        new = rng.choice(choices)
        changed = pattern.sub(lambda found: new if rng.random() < part else found[0], text)
        return changed.encode("utf-8", "surrogateescape")

    return change


def _inject_all(body: bytes, _: Sequence[Page], rng: random.Random) -> bytes:
    """Escaped as a server that does it right would: another value in every label of some name."""
    new = rng.choice(_INJECTED)
    new = new.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return _LABEL.sub(lambda _: new, _text(body)).encode("utf-8", "surrogateescape")


def _wrap(body: bytes, _: Sequence[Page], rng: random.Random) -> bytes:
    """In another encoding, or as something that is no metrics page."""
    text = _text(body)
    forms: tuple[Callable[[], bytes], ...] = (
        lambda: gzip.compress(body, mtime=0),
        lambda: text.encode("utf-16", "replace"),
        lambda: b"\xef\xbb\xbf" + body,
        lambda: body.replace(b"\n", b"\r\n"),
        lambda: body.replace(b"\n", b"\r"),
        lambda: body.replace(b"\n", b" "),
        lambda: b"<html>" + body + b"</html>",
        lambda: body + body,
        lambda: body[::-1],
        lambda: rng.randbytes(rng.randrange(2000)),
    )
    return rng.choice(forms)()


_WOUNDS: tuple[Callable[[bytes, Sequence[Page], random.Random], bytes], ...] = (
    _flip,
    _cut,
    _insert_bytes,
    _wound_text,
    _repeat_lines,
    _shuffle,
    _drop_lines,
    _splice,
    _change(_VALUE, _VALUES),
    _change(_VALUE, _VALUES),
    _change(_LABEL, _INJECTED),
    _inject_all,
    _wrap,
)


def damaged_pages(count: int, seed: int) -> Iterator[tuple[Page, bytes]]:
    """So many damaged pages, of all captures in turn; the same ones for the same seed.

    One in twenty is a whole page, the others are condensed: most of a page nobody looks at.
    """
    rng = random.Random(seed)
    whole = pages()
    short = [condensed(page) for page in whole]
    for index in range(count):
        page = rng.choice(whole if index % 20 == 0 else short)
        yield page, damaged(page, short, rng)
