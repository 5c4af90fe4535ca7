"""Plain values to typed settings, strictly, with errors that say what was expected where.

msgspec decides whether a value fits; its message names neither the keys of a free mapping nor
the values allowed, so the path and the sentence are worked out here from the types.
"""

import re
import types
import typing
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Literal, TypeVar, Union

import msgspec

from unitcost.exporter.config.section import Range
from unitcost.exporter.config.yaml_strict import NUMBER, Path

T = TypeVar("T")

MAX_SHOWN = 60

_WHERE = re.compile(r"^(?P<what>.*) - at `(?:key` in `)?\$(?P<path>.*)`$", re.DOTALL)
_TYPE_ONLY = re.compile(r"Expected `[^`]*`, got|Invalid (?:decimal|enum)")
_STEP = re.compile(r"\.(?P<key>\w+)|\[(?P<index>\d+)\]|(?P<any>\[\.\.\.\])", re.ASCII)
_NAMES = {
    str: "text",
    int: "a whole number",
    float: "a number",
    Decimal: "a number",
    bool: "true or false",
    type(None): "nothing",
}


class Mistake(Exception):
    """What is wrong with the value at `path`: `problem` says it, and what is expected."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(problem)
        self.path = path
        self.problem = problem


def shown(value: object) -> str:
    """A value as it may stand in a message: quoted, escaped, at most `MAX_SHOWN` characters."""
    if isinstance(value, str):
        cut = value if len(value) <= MAX_SHOWN else value[:MAX_SHOWN] + "…"
        return ascii(cut) if not cut.isprintable() else repr(cut)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping of keys"
    if isinstance(value, list | tuple):
        return "a list"
    return "nothing" if value is None else f"the number {value}"


def fields(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """Each field of a settings type and its type, annotations kept."""
    hints = typing.get_type_hints(struct, include_extras=True)
    return {name: hints[name] for name in struct.__struct_fields__}


def decode(value: Any, type_: type[T], path: Path = ()) -> T:
    """Convert to `type_`, strictly; `path` is where `value` stands. Raises `Mistake`."""
    try:
        result = msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        raise _explain(str(error), value, type_, path) from None
    for mistake in _number_mistakes(result, value, type_, path):
        raise mistake
    return result


def _explain(message: str, value: Any, type_: Any, path: Path) -> Mistake:
    found = _WHERE.match(message)
    what = found["what"] if found else message
    for step in _STEP.finditer(found["path"] if found else ""):
        key: str | int = step["key"] or ""
        if step["index"]:
            key = int(step["index"])
        elif step["any"]:
            key = _first_bad_key(value, _member(type_, ""))
        type_ = _member(type_, key)
        value = value[key]
        path = (*path, key)
    return _sentence(what, value, type_, path)


def _first_bad_key(value: dict[str, Any], type_: Any) -> str:
    for key, member in value.items():
        try:
            msgspec.convert(member, type_)
        except msgspec.ValidationError:
            return key
    return next(iter(value))


def _sentence(what: str, value: Any, type_: Any, path: Path) -> Mistake:
    struct = _struct(type_)
    if struct is not None and isinstance(value, dict):
        known = fields(struct)
        for key in value:
            if key not in known:
                return Mistake((*path, key), f"unknown key, expected one of {', '.join(known)}")
        if what.startswith("Object missing"):
            missing = next(key for key in _required(struct) if key not in value)
            return Mistake((*path, missing), f"missing, expected {expected(known[missing])}")
    if _TYPE_ONLY.match(what):
        return Mistake(path, f"expected {expected(type_)}, got {shown(value)}")
    return Mistake(path, _own_words(what))


def _own_words(what: str) -> str:
    """A message of a type's own check, on one line."""
    text = what.replace("`", "")
    return text if text.isprintable() else ascii(text)[1:-1]


def _required(struct: type[msgspec.Struct]) -> list[str]:
    return [field.name for field in msgspec.structs.fields(struct) if field.required]


def expected(type_: Any) -> str:
    """A type in words, as in "expected …"."""
    origin = typing.get_origin(type_)
    if origin is typing.Annotated:
        return expected(typing.get_args(type_)[0])
    if origin is Literal:
        return " or ".join(str(option) for option in typing.get_args(type_))
    if origin in (Union, types.UnionType):
        members = [m for m in typing.get_args(type_) if m is not type(None)]
        return " or ".join(expected(member) for member in members)
    if origin in (tuple, list, frozenset, set):
        return "a list"
    if origin in (dict, Mapping) or _struct(type_) is not None:
        return "a mapping of keys"
    return _NAMES.get(type_, getattr(type_, "__name__", str(type_)))


def _alternatives(type_: Any) -> Iterator[Any]:
    """The types a value may have: a union's members, annotations taken off."""
    origin = typing.get_origin(type_)
    if origin is typing.Annotated:
        yield from _alternatives(typing.get_args(type_)[0])
    elif origin in (Union, types.UnionType):
        for member in typing.get_args(type_):
            yield from _alternatives(member)
    else:
        yield type_


def _struct(type_: Any) -> type[msgspec.Struct] | None:
    for option in _alternatives(type_):
        if isinstance(option, type) and issubclass(option, msgspec.Struct):
            return option
    return None


def _member(type_: Any, key: str | int) -> Any:
    """The type of a field, list item or mapping value; `Any` where it cannot be told."""
    for option in _alternatives(type_):
        origin, arguments = typing.get_origin(option), typing.get_args(option)
        if origin in (dict, Mapping):
            return arguments[1]
        if origin in (tuple, list, set, frozenset) and arguments:
            return arguments[0]
        if isinstance(option, type) and issubclass(option, msgspec.Struct):
            return fields(option).get(str(key), Any)
    return Any


def _number_mistakes(result: Any, source: Any, type_: Any, path: Path) -> Iterator[Mistake]:
    """Walk what was decoded beside its source; yield numbers outside their `Range`."""
    if isinstance(result, msgspec.Struct) and isinstance(source, dict):
        hints = fields(type(result))
        for key in source:
            yield from _number_mistakes(getattr(result, key), source[key], hints[key], (*path, key))
    elif isinstance(result, tuple) and isinstance(source, list):
        for index, (item, raw) in enumerate(zip(result, source, strict=True)):
            yield from _number_mistakes(item, raw, _member(type_, index), (*path, index))
    elif isinstance(result, dict) and isinstance(source, dict):
        for key, item in result.items():
            yield from _number_mistakes(item, source[key], _member(type_, key), (*path, key))
    elif isinstance(result, int | float | Decimal) and not isinstance(result, bool):
        problem = _number_problem(result, source, type_)
        if problem:
            yield Mistake(path, problem)


def _number_problem(number: float | Decimal, source: Any, type_: Any) -> str | None:
    if isinstance(source, str) and not NUMBER.fullmatch(source):
        return f"expected a number, got {shown(source)}"
    if not Decimal(number).is_finite():
        return f"expected a finite number, got {shown(source)}"
    range_ = _range(type_)
    if range_ is not None and not range_.low <= number <= range_.high:
        return f"must be between {range_.low} and {range_.high}, got {shown(source)}"
    if isinstance(number, Decimal) and number.as_tuple().exponent < -12:  # type: ignore[operator]
        return f"more than 12 digits after the decimal point, got {shown(source)}"
    if isinstance(number, Decimal) and number.is_signed():
        return f"must not be negative, got {shown(source)}"
    return None


def _range(type_: Any) -> Range | None:
    if typing.get_origin(type_) is typing.Annotated:
        found = [note for note in type_.__metadata__ if isinstance(note, Range)]
        return found[0] if found else _range(typing.get_args(type_)[0])
    if typing.get_origin(type_) in (Union, types.UnionType):
        for member in typing.get_args(type_):
            if (range_ := _range(member)) is not None:
                return range_
    return None
