"""What an expression names: metrics, labels, functions. A lexer and a few rules of grammar."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

AGGREGATIONS = {"sum", "min", "max", "avg", "count", "topk", "bottomk"}
FUNCTIONS = {
    "abs",
    "avg_over_time",
    "changes",
    "clamp_max",
    "clamp_min",
    "count_over_time",
    "delta",
    "exp",
    "increase",
    "label_replace",
    "last_over_time",
    "ln",
    "max_over_time",
    "quantile_over_time",
    "rate",
    "scalar",
    "sqrt",
    "time",
    "vector",
}
"""Those that Prometheus, Thanos, Mimir and VictoriaMetrics all have and mean alike."""

OPERATORS = {"and", "or", "unless", "offset", "bool"}
LISTS = {"by", "without", "on", "ignoring", "group_left", "group_right"}

_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
    | (?P<text>"(?:[^"\\]|\\.)*")
    | (?P<duration>\[[^\]]*\]|\d+(?:ms|[smhdwy])(?:\d+(?:ms|[smhdwy]))*\b)
    | (?P<variable>\$\w+|\$\{\w+(?::\w+)?\})
    | (?P<number>\d+(?:\.\d+)?)
    | (?P<name>[A-Za-z_:][\w:]*)
    | (?P<operator>=~|!~|!=|==|>=|<=|[-+*/%^<>=(){},])
    """,
    re.VERBOSE,
)


@dataclass(slots=True)
class Names:
    """All that an expression names."""

    metrics: list[tuple[str, frozenset[str], str]] = field(default_factory=list)
    """Each selector's metric, the labels that it matches, and the function around it."""

    labels: set[str] = field(default_factory=set)
    """Labels in ``by``, ``on`` and their like."""

    made: set[str] = field(default_factory=set)
    """Labels that ``label_replace`` writes."""

    functions: set[str] = field(default_factory=set)
    ranges: list[tuple[str, str]] = field(default_factory=list)
    """Each range: the function around it, and the duration."""


def tokens(expr: str) -> Iterator[tuple[str, str]]:
    """Kinds and texts. Raises ValueError where something is no token."""
    at = 0
    while at < len(expr):
        found = _TOKEN.match(expr, at)
        if found is None or found.lastgroup is None:
            raise ValueError(f"no token at {expr[at : at + 40]!r} in {expr!r}")
        if found.lastgroup != "space":
            yield found.lastgroup, found.group()
        at = found.end()


def names(expr: str) -> Names:
    """What `expr` names. Raises ValueError for a word that has no place there."""
    words = [*tokens(expr), ("end", ""), ("end", "")]
    found, calls, pending, at = Names(), [""], "", 0
    while at < len(words):
        kind, text = words[at]
        if text == "(":
            calls.append(pending)
            pending = ""
        elif text == ")":
            calls.pop()
        elif kind == "duration" and text.startswith("["):
            found.ranges.append((calls[-1], text[1:-1]))
        elif kind == "text" and calls[-1] == "label_replace":
            _written(words, at, found)
        elif kind == "name" or text == "{":
            pending, at = _word(words, at, found, calls[-1], pending)
        at += 1
    if calls != [""]:
        raise ValueError(f"brackets do not match in {expr!r}")
    return found


def _word(
    words: list[tuple[str, str]], at: int, found: Names, within: str, pending: str
) -> tuple[str, int]:
    """Note a name: the function that the next bracket opens, and where its last token is."""
    text, following = words[at][1], words[at + 1][1]
    if text in LISTS and following == "(":
        end = words.index(("operator", ")"), at)
        found.labels |= {word for kind, word in words[at + 1 : end] if kind == "name"}
        return pending, end
    if text in AGGREGATIONS | FUNCTIONS and following in ("(", "by"):
        found.functions.add(text)
        return text, at
    if text in OPERATORS or text == "NaN":
        return "", at
    return "", _selector(words, at, found, within)


def _written(words: list[tuple[str, str]], at: int, found: Names) -> None:
    """Note the label that a label_replace writes: the first of its four texts."""
    kinds = [kind for kind, _ in words[at : at + 7 : 2]]
    if kinds == ["text"] * 4 and {text for _, text in words[at + 1 : at + 6 : 2]} == {","}:
        found.made.add(words[at][1].strip('"'))


def _selector(words: list[tuple[str, str]], at: int, found: Names, within: str) -> int:
    """Note a selector that begins here; where its last token is."""
    metric = ""
    if words[at][0] == "name":
        metric = words[at][1]
        if words[at + 1][1] == "(":
            raise ValueError(f"{metric} is no function that every store has")
        if words[at + 1][1] != "{":
            found.metrics.append((metric, frozenset(), within))
            return at
        at += 1
    end = words.index(("operator", "}"), at)
    labels = {word for kind, word in words[at:end] if kind == "name"}
    found.metrics.append((metric, frozenset(labels), within))
    return end
