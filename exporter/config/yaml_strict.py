"""Strict YAML: text in, plain values and their line numbers out.

A subset of YAML 1.2's core schema: ``no`` and ``1:30`` are text, not False and 90. Numbers with a
fraction or an exponent become Decimal, so that money never passes through binary floats. Refused:
a key given twice, keys that are not text, tags, several documents, and whatever is too big.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import yaml

Path = tuple[str | int, ...]
"""Where a value stands: keys and list positions from the top of the document."""

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_VALUES = 20_000
MAX_NUMBER_LENGTH = 40

NUMBER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,4})?", re.ASCII)
"""How a number is written. No leading zeros (octal in YAML 1.1), underscores, infinity or NaN."""

_TAG = "tag:yaml.org,2002:"
_WORDS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


class YamlError(Exception):
    """The text is not acceptable YAML; `path` and `line` (from 1) say where."""

    def __init__(self, problem: str, path: Path = (), line: int | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path = path
        self.line = line


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed document, and the line (from 1) on which each value's key stands."""

    value: Any
    lines: dict[Path, int]

    def line(self, path: Path) -> int | None:
        """Line of `path`, or of the nearest enclosing value that is written down."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return None


class _Loader(yaml.SafeLoader):
    """Composes nodes only; resolves nothing but null, true, false and numbers."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own way to state a schema
        None: [
            (f"{_TAG}null", re.compile(r"^(?:~|null|Null|NULL|)$")),
            (f"{_TAG}bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")),
            (f"{_TAG}float", re.compile(rf"^(?:{NUMBER.pattern})$", re.ASCII)),
        ]
    }

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._values = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self._depth >= MAX_DEPTH:
            raise YamlError(f"nested deeper than {MAX_DEPTH} levels", line=self.line + 1)
        self._values += 1
        if self._values > 2 * MAX_VALUES:  # keys are nodes too
            raise YamlError(f"more than {MAX_VALUES} values", line=self.line + 1)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _Builder:
    """Turns nodes into values, counting them, so that aliases cannot multiply without bound."""

    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self._values = 0

    def build(self, node: yaml.Node, path: Path) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        self._values += 1
        if self._values > MAX_VALUES:
            raise self._too_much(f"more than {MAX_VALUES} values", path)
        if len(path) > MAX_DEPTH:
            raise self._too_much(f"nested deeper than {MAX_DEPTH} levels", path)
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node, path, line)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            return [self.build(item, (*path, i)) for i, item in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self._mapping(node, path)
        raise YamlError(f"tag {_short_tag(node)} is not supported", path, line)

    def _too_much(self, problem: str, path: Path) -> YamlError:
        section = path[:1]  # below it the path is as long as the mistake is big
        return YamlError(problem, section, self.lines[section])

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = _key(key_node, path, line)
            if key in result:
                raise YamlError("key is given twice", (*path, key), line)
            self.lines.setdefault((*path, key), line)
            result[key] = self.build(value_node, (*path, key))
        return result


def _key(node: yaml.Node, path: Path, line: int) -> str:
    if not isinstance(node, yaml.ScalarNode) or node.tag != f"{_TAG}str":
        shown = f" {node.value}" if isinstance(node, yaml.ScalarNode) else ""
        raise YamlError(f"keys must be text: put the key{shown} in quotes", path, line)
    if node.value == "<<" and node.style is None:
        raise YamlError("merge keys (<<) are not supported: write the values out", path, line)
    return _text(node.value, path, line)


def _scalar(node: yaml.ScalarNode, path: Path, line: int) -> Any:
    text = node.value
    if node.tag == f"{_TAG}str":
        return _text(text, path, line)
    if node.tag == f"{_TAG}null" and text in ("", "~", "null", "Null", "NULL"):
        return None
    if node.tag == f"{_TAG}bool" and text in _WORDS:
        return _WORDS[text]
    if node.tag == f"{_TAG}float" and NUMBER.fullmatch(text):
        return _number(text, path, line)
    raise YamlError(f"tag {_short_tag(node)} is not supported", path, line)


def _number(text: str, path: Path, line: int) -> int | Decimal:
    if len(text) > MAX_NUMBER_LENGTH:
        raise YamlError(f"number is longer than {MAX_NUMBER_LENGTH} characters", path, line)
    return int(text) if text.lstrip("+-").isdigit() else Decimal(text)


def _text(text: str, path: Path, line: int) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise YamlError("text holds half of a surrogate pair", path, line) from None
    return text


def _short_tag(node: yaml.Node) -> str:
    return str(node.tag).replace(_TAG, "!!")


def parse(data: bytes) -> Document:
    """Parse one YAML document in UTF-8; an empty one has the value None. Raises `YamlError`."""
    if len(data) > MAX_BYTES:
        raise YamlError(f"larger than {MAX_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise YamlError("not UTF-8 text", line=line) from None
    node = _compose(text)
    if node is None:
        return Document(None, {})
    builder = _Builder()
    return Document(builder.build(node, ()), builder.lines)


def _compose(text: str) -> yaml.Node | None:
    try:
        return _Loader(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        raise YamlError(error.problem or error.context or "not YAML", line=line) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlError(f"character {error.character!r} is not allowed", line=line) from None
    except (ValueError, OverflowError, RecursionError) as error:
        # PyYAML lets these through for some escapes and directives.
        raise YamlError(f"not YAML: {error}") from None
