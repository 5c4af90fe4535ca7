"""A selective reader of the Prometheus and OpenMetrics text formats: only wanted samples, fast.

It reads line by line, so a bad line costs the samples of its own name and nothing else. A sample
is accepted if and only if prometheus_client's text parser accepts that line by itself, with the
same labels and value, except where this reader is stricter on purpose:

1. a value must be at least 0 and less than 2**53: no NaN, infinity, negative number, or count
   that a float cannot hold exactly (nothing wanted here can be negative);
2. labels: every one has a value in quotes (``{a=}`` would merge two series), and commas stand
   between them, with one more allowed at the end (``{,a="b"}`` and ``{a="b", ,}`` are refused);
3. after the value: nothing, a timestamp, or an exemplar that begins with ``#``;
4. the last line ends with a line feed, else it may be the beginning of a longer number;
5. a series that is given twice is refused: which of the two is right cannot be known;
6. bytes that are no UTF-8, more than 64 labels, a label longer than 1,024 characters, a line
   longer than 16,384.

A refused line of a wanted name is reported in `Exposition.rejected`. Who adds up series must then
take the whole name as unknown: a sum without one of its parts would be a wrong number.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

MAX_SAMPLES = 10_000
MAX_LINES = 250_000
MAX_LINE_LENGTH = 16_384
MAX_LABELS = 64
MAX_LABEL_LENGTH = 1_024
VALUE_LIMIT = 2.0**53


class ExpositionError(Exception):
    """Nothing of the text can be used: it has too many lines or wanted samples."""


class Sample(NamedTuple):
    """One wanted line; a timestamp or exemplar it may have is left out."""

    name: str
    labels: dict[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Exposition:
    """The wanted samples by name, in the order of the text; and why names had a line refused."""

    samples: dict[str, list[Sample]]
    rejected: dict[str, str]


class _Refused(ValueError):
    """A line that is not accepted; the text says why and quotes nothing of it."""


# Possessive quantifiers: nothing is tried twice, so a hostile line takes linear time.
_QUOTED = r'"(?:[^"\\]++|\\.)*+"'
_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*+"
_TERM = rf"(?:(?:(?P<name>{_NAME}|{_QUOTED})\s*+=\s*+)?(?P<value>{_QUOTED}))"
_PLAIN_TERM = re.sub(r"\?P<\w+>", "?:", _TERM)
_LABELS = re.compile(
    rf"\{{\s*+(?:{_PLAIN_TERM}\s*+(?:,\s*+{_PLAIN_TERM}\s*+)*+(?:,\s*+)?+)?+\}}", re.DOTALL
)
_LABEL = re.compile(_TERM, re.DOTALL)
_ESCAPE = re.compile(r'\\([\\n"])')
_HEAD = re.compile(r"[^ \t{]*")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_IN_BRACES = "__name__"


def read(body: bytes, wanted: Collection[str]) -> Exposition:
    """Read the samples whose names are wanted. Raises ExpositionError."""
    if body.count(b"\n") > MAX_LINES:
        raise ExpositionError(f"more than {MAX_LINES} lines")
    lines = body.decode("utf-8", "surrogateescape").split("\n")
    names = frozenset(wanted)
    reader = _Reader(names)
    torn = lines.pop()
    for line in lines:
        if line[:1] != "#":
            # Most lines are labelled and not wanted: a few tests and they are gone.
            head = line.partition("{")[0].strip()
            if head in names or " " in head or "\t" in head or not head:
                reader.take(line.strip())
    if torn:
        reader.take(torn.strip(), torn=True)
    return Exposition(reader.samples, reader.rejected)


class _Reader:
    """Collects the samples of one text."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self.wanted = wanted
        self.samples: dict[str, list[Sample]] = {}
        self.rejected: dict[str, str] = {}
        self._count = 0
        self._seen: set[tuple[str, frozenset[tuple[str, str]]]] = set()

    def take(self, line: str, *, torn: bool = False) -> None:
        """Keep the sample on this line if its name is wanted, or say that it was refused."""
        head = _HEAD.match(line)
        name = head[0].strip() if head else ""
        if name.startswith("#") or (name not in self.wanted and not line.startswith("{")):
            return
        try:
            name, labels, rest = _split(line, name)
            if name not in self.wanted:
                return
            if torn:
                raise _Refused("the last line has no end")
            self._keep(Sample(name, labels, _value(rest)))
        except _Refused as refusal:
            if name in self.wanted:
                self.rejected.setdefault(name, str(refusal))

    def _keep(self, sample: Sample) -> None:
        key = (sample.name, frozenset(sample.labels.items()))
        if key in self._seen:
            raise _Refused("a series is given twice")
        self._seen.add(key)
        self._count += 1
        if self._count > MAX_SAMPLES:
            raise ExpositionError(f"more than {MAX_SAMPLES} wanted samples")
        self.samples.setdefault(sample.name, []).append(sample)


def _split(line: str, name: str) -> tuple[str, dict[str, str], str]:
    """Name, labels and the rest of a line; the name may stand in the braces."""
    if len(line) > MAX_LINE_LENGTH:
        raise _Refused("a line is too long")
    if not line.isascii() and _SURROGATE.search(line):
        raise _Refused("a line is not UTF-8")
    brace = line.find("{")
    if brace < 0 or " # " in line[:brace]:
        return name, {}, line[len(name) :]
    if line[:brace].strip() != name:
        raise _Refused("something stands between name and labels")
    block = _LABELS.match(line, brace)
    if block is None:
        raise _Refused("the labels are malformed")
    labels = _labels(block[0])
    if name and _IN_BRACES in labels:
        raise _Refused("the name is given twice")
    return name or labels.pop(_IN_BRACES, ""), labels, line[block.end() :]


def _labels(block: str) -> dict[str, str]:
    """The labels in a well-formed block of braces, unescaped."""
    labels: dict[str, str] = {}
    for name, value in _LABEL.findall(block):
        key = _unquoted(name) if name else _IN_BRACES
        text = _unquoted(value)
        if key.startswith("__") and key != _IN_BRACES:
            raise _Refused("a label has a reserved name")
        if key in labels:
            raise _Refused("a label is given twice")
        if len(key) > MAX_LABEL_LENGTH or len(text) > MAX_LABEL_LENGTH:
            raise _Refused("a label is too long")
        labels[key] = text
    if len(labels) > MAX_LABELS:
        raise _Refused("there are too many labels")
    return labels


def _unquoted(text: str) -> str:
    plain = text[1:-1] if text[0] == '"' else text
    if "\\" not in plain:
        return plain
    return _ESCAPE.sub(lambda match: "\n" if match[1] == "n" else match[1], plain)


def _value(text: str) -> float:
    """The number after name and labels, which only a timestamp or an exemplar may follow."""
    text = text.strip()
    parts = [part.strip() for part in text.split(" " if " " in text else "\t") if part.strip()]
    if not parts:
        raise _Refused("a value is missing")
    value = _number(parts[0])
    if len(parts) > 1:
        _number(parts[-1])
        if len(parts) > 2 and parts[1] != "#" and parts[2] != "#":
            raise _Refused("something unknown stands after the value")
    if not 0 <= value < VALUE_LIMIT:
        raise _Refused("a value is negative, not finite or too large")
    return value + 0.0  # no negative zero


def _number(text: str) -> float:
    if "_" in text:
        raise _Refused("a value is no number")
    try:
        return float(text)
    except ValueError:
        raise _Refused("a value is no number") from None
