"""Damaged expositions, reproducibly: what a torn, buggy or hostile server may send."""

import random
from collections.abc import Iterator

_WORDS = r"""
{ } {} {,} }{ " \" \\ \n \x \ , ,, = ="" # ## : _ NaN +Inf -Inf -1 -0 1e5 1e400 0x10 1_000 .5 5. +5
9007199254740993 ٣ é {a="b",} {a="b" a="b"} ,a="b" ,__name__="x" ,__x="y" ,"le"="1"
"""
_BLANKS = ("  ", "\t", "\r", "\x0b", "\xa0", "\u2028", "\n", "\n\n", "\x00", "\ud800", ", ,", " # ")
_PHRASES = (
    "1 2",
    "1 2 3",
    " 1395066363000",
    ' # {trace_id="a b"} 1 2',
    " # {} x",
    '"quoted name"',
    "# EOF",
    "# TYPE x counter",
    "x" * 40,
)
TOKENS = (" ", *_WORDS.split(), *_BLANKS, *_PHRASES)


def mutate(text: str, rng: random.Random) -> str:
    """The text with one to four wounds."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        # Most wounds spare the name: without it nobody looks at the rest.
        name_end = text.find("{") if rng.random() < 0.8 else -1
        at = rng.randrange(max(0, name_end), len(text) + 1)
        kind = rng.random()
        if kind < 0.45:
            text = text[:at] + rng.choice(TOKENS) + text[at:]
        elif kind < 0.65:
            text = text[:at] + rng.choice(TOKENS) + text[at + rng.randint(1, 4) :]
        elif kind < 0.8:
            text = text[:at] + text[at + rng.randint(1, 12) :]
        elif kind < 0.9:
            other = rng.randrange(len(text) + 1)
            text = text[:at] + text[other : other + rng.randint(1, 60)] + text[at:]
        elif at < len(text):
            text = text[:at] + chr(ord(text[at]) ^ (1 << rng.randrange(7))) + text[at + 1 :]
    return text


def mutations(lines: list[str], count: int, seed: int) -> Iterator[str]:
    """So many damaged lines, of the lines given in turn; the same ones for the same seed."""
    rng = random.Random(seed)
    for index in range(count):
        yield mutate(lines[index % len(lines)], rng)
