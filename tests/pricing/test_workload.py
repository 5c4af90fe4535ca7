"""Names from outside: bounded, printable, and never one of ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.workload import MAX_NAME_BYTES, RESERVED, Account, clean_name

ANY = st.text(st.characters(), max_size=200)


@given(st.one_of(ANY, st.tuples(ANY, st.sampled_from(sorted(RESERVED))).map("".join)))
def test_a_clean_name_is_short_printable_and_not_reserved(text: str) -> None:
    """And clean already."""
    name = clean_name(text)
    assert len(name.encode()) <= MAX_NAME_BYTES
    assert name.isprintable()
    assert name not in RESERVED
    assert clean_name(name) == name.strip() or name != name.strip()


@pytest.mark.parametrize("name", sorted(RESERVED))
@pytest.mark.parametrize("around", ["{}", " {} ", "\t{}\n"])
def test_nobody_takes_a_reserved_name(name: str, around: str) -> None:
    """A workload of that name could hide its cost in what nobody holds."""
    cleaned = clean_name(around.format(name))
    assert cleaned == f"_{name}"
    assert not Account(cleaned).reserved
    assert Account(name).reserved


def test_a_plain_name_stays_as_it_is() -> None:
    """Umlauts and slashes included."""
    assert clean_name("namespace/Deployment/größe") == "namespace/Deployment/größe"


def test_a_name_is_never_cut_inside_of_a_character() -> None:
    """What is left of it would be no text; half a surrogate pair is none to begin with."""
    assert clean_name("a" + "ü" * 100) == "a" + "ü" * 63
    assert clean_name("x" * 126 + "€") == "x" * 126
    assert clean_name("a\ud800b") == "a_b"
