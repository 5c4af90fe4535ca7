"""The parts that loading a configuration is made of: YAML, decoding, regular expressions."""

from decimal import Decimal
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.exporter.config.decode import Mistake, decode, shown
from unitcost.exporter.config.load import path_text
from unitcost.exporter.config.regex import regex_problem
from unitcost.exporter.config.yaml_strict import YamlError, parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-7", -7),
        ("0", 0),
        ("1.10", Decimal("1.10")),
        ("1e-6", Decimal("0.000001")),
        ("1_000", "1_000"),
        ("010", "010"),
        ("0x1f", "0x1f"),
        ("0o17", "0o17"),
        ("1:30", "1:30"),
        (".5", ".5"),
        ("5.", "5."),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("2026-01-01", "2026-01-01"),
        ("no", "no"),
        ("On", "On"),
        ("=", "="),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("'1'", "1"),
        ('"true"', "true"),
        ("!!str 1", "1"),
        ("!!float 1.5", Decimal("1.5")),
        ("a: b", {"a": "b"}),
        ("[1, [2]]", [1, [2]]),
        ("|\n  a\n  b\n", "a\nb\n"),
    ],
)
def test_scalars_are_those_of_yaml_1_2_and_numbers_are_exact(text: str, value: Any) -> None:
    """Whatever YAML 1.1 would make of them."""
    found = parse(text.encode()).value
    assert found == value
    assert type(found) is type(value)
    assert str(found) == str(value)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6) | st.integers())
def test_numbers_read_back_exactly(number: Decimal | int) -> None:
    """Every digit."""
    text = str(number)
    if len(text) <= 40:
        assert str(parse(text.encode()).value) == text.removeprefix("+")


def test_lines_of_keys_and_items_are_known() -> None:
    """Counted from one; for what is not there, the line of what should hold it."""
    document = parse(b"a: 1\nb:\n  - c: 2\n    d: 3\n  - e\n")
    assert document.line(("a",)) == 1
    assert document.line(("b", 0, "d")) == 4
    assert document.line(("b", 1)) == 5
    assert document.line(("b", 0, "missing", "deeper")) == 3
    assert document.line(()) == 1
    assert parse(b"").line(("a",)) is None


def test_more_values_than_any_configuration_has_are_refused_early() -> None:
    """Not after all of them have been read."""
    with pytest.raises(YamlError, match="more than 20000 values"):
        parse(b"[" + b"a," * 300_000 + b"]")


class Part(msgspec.Struct, forbid_unknown_fields=True):
    """For the tests below: all kinds of fields that a collector's Options may have."""

    size: Annotated[int, msgspec.Meta(ge=1)] = 1
    name: Annotated[str, msgspec.Meta(max_length=3)] = ""
    limit: int | None = None
    tables: dict[str, dict[str, int]] = {}
    names: tuple[str, ...] = ()
    half: Annotated[float, msgspec.Meta(lt=1)] | None = None

    def __post_init__(self) -> None:
        if self.size > 100:
            raise ValueError("size is too\nmuch")


@pytest.mark.parametrize(
    ("value", "path", "problem"),
    [
        ({"size": 0}, ("size",), "Expected int >= 1"),
        ({"size": 101}, (), "size is too\\nmuch"),
        ({"name": "long"}, ("name",), "Expected str of length <= 3"),
        ({"limit": "x"}, ("limit",), "expected a whole number, got 'x'"),
        ({"half": 2}, ("half",), "Expected float < 1.0"),
        ({"tables": {"a": {"b": 1}, "c": {"d": 1, "e": "x"}}}, ("tables", "c", "e"), "got 'x'"),
        ({"names": ["a", 1]}, ("names", 1), "expected text, got the number 1"),
        ({"names": "a"}, ("names",), "expected a list, got 'a'"),
        ({"nam": "a"}, ("nam",), "unknown key, expected one of size, name"),
        ([], (), "expected a mapping of keys, got a list"),
    ],
)
def test_what_does_not_fit_is_told_with_its_path(
    value: Any, path: tuple[str | int, ...], problem: str
) -> None:
    """Down to the key of a free mapping, also for what a type itself demands."""
    with pytest.raises(Mistake) as caught:
        decode(value, Part, ("collectors", "x"))
    assert caught.value.path == ("collectors", "x", *path)
    assert problem in caught.value.problem
    assert "\n" not in caught.value.problem


@given(st.text())
def test_values_and_keys_in_messages_are_short_and_printable(text: str) -> None:
    """They come from a file that may hold anything."""
    assert shown(text).isprintable()
    assert len(shown(text)) < 800
    assert path_text((text, 3, text)).isprintable()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("workloads", 1, "endpoints", 0, "url"), "workloads[1].endpoints[0].url"),
        (("servers", "my.server", "metric"), "servers['my.server'].metric"),
        ((), ""),
    ],
)
def test_paths_are_written_as_people_write_them(path: tuple[str | int, ...], text: str) -> None:
    """Odd keys in quotes."""
    assert path_text(path) == text


@pytest.mark.parametrize(
    "pattern",
    [
        "vllm serve",
        r"python3? .*train\.py",
        "vllm (serve|worker)+ x",
        r"[+*(]+x",
        r"\(a+\)+",
        r"(\d{1,3}\.){3}",
        "^(?!.*debug).*serve",
        r"[]+]+(a)+",
        r"[^]*]+(a)+",
    ],
)
def test_usual_patterns_are_accepted(pattern: str) -> None:
    """Also those with repeats, escapes and classes."""
    assert regex_problem(pattern) is None


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+",
        "(a*)*b",
        "((a+)b)*c",
        "(?:a+)+c",
        "(a+){5,}c",
        "(a+){30}c",
        r"(\w+\s?)+$",
        r"(?P<x>[a-z]+)*!",
        r"(\)+)+x",
    ],
)
def test_patterns_that_could_take_for_ever_are_refused(pattern: str) -> None:
    """A repeat inside a repeated group."""
    assert "for ever" in (regex_problem(pattern) or "")


@given(st.text(alphabet="ab()[]{}*+?|\\^$.,1-9", max_size=20))
def test_any_pattern_is_judged(pattern: str) -> None:
    """Without an exception, in one printable line."""
    assert (regex_problem(pattern) or "").isprintable()
