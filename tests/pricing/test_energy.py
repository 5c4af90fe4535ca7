"""Meters that overlap cannot be summed; those that lie in no other measure everything once."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.energy import (
    Disjoint,
    Meter,
    Path,
    Scope,
    of_resources,
    outermost,
    overlaps,
)
from unitcost.pricing.sample import Source


def meter(
    *path: str,
    watts: float | None = 10.0,
    resource: str = "",
    source: Source = Source.SENSOR,
    id_: str = "",
) -> Meter:
    """A meter at a place, named after it."""
    return Meter(
        id_ or "/".join(path) or "node",
        Scope.GPU,
        path,
        0,
        watts=watts,
        power_source=source,
        resource=resource,
    )


PATHS = st.lists(st.sampled_from(["a", "b", "module-0", ""]), max_size=4).map(tuple)
METERS = st.lists(
    st.builds(lambda path, resource: meter(*path, resource=resource), PATHS, st.sampled_from("xy"))
    | st.builds(lambda path: meter(*path), PATHS),
    max_size=12,
)


def counted(paths: Iterable[Path], leaves: Iterable[Path]) -> dict[Path, int]:
    """How often each of the smallest consumers is counted by meters at these paths."""
    paths = list(paths)
    return {leaf: sum(leaf[: len(path)] == path for path in paths) for leaf in leaves}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((), (), True),
        ((), ("a",), True),
        (("a",), ("a",), True),
        (("a",), ("a", "b"), True),
        (("a", "b"), ("a",), True),
        (("a",), ("b",), False),
        (("a", "b"), ("a", "c"), False),
        (("a", "b"), ("b",), False),
        (("a",), ("ab",), False),
    ],
)
def test_two_meters_overlap_where_one_sits_in_the_other(
    one: Path, other: Path, expected: bool
) -> None:
    """The node's holds everything; siblings have nothing in common."""
    assert overlaps(one, other) is expected
    assert overlaps(other, one) is expected


@given(METERS)
def test_no_set_with_an_overlap_can_be_made(meters: list[Meter]) -> None:
    """And every set without one can."""
    pairs = [
        overlaps(one.path, other.path)
        for number, one in enumerate(meters)
        for other in meters[:number]
    ]
    if any(pairs):
        with pytest.raises(ValueError, match="overlap"):
            Disjoint(meters)
    else:
        assert list(Disjoint(meters)) == meters


@given(METERS)
def test_the_outermost_meters_cover_every_meter_once(meters: list[Meter]) -> None:
    """Whatever any meter measures is in exactly one of them."""
    kept = list(outermost(meters))
    assert all(each in meters for each in kept)
    leaves = [(*each.path, f"leaf-{number}") for number, each in enumerate(meters)]
    assert set(counted([each.path for each in kept], leaves).values()) <= {1}
    assert len({id(each) for each in kept}) == len(kept)


@given(METERS)
def test_resources_have_their_outermost_meters_and_no_other(meters: list[Meter]) -> None:
    """A meter of more than one resource, or of less, is none of theirs."""
    kept = list(of_resources(meters))
    assert all(each.resource for each in kept)
    leaves = [(*each.path, "leaf") for each in meters if each.resource]
    assert set(counted([each.path for each in kept], leaves).values()) <= {1}


def test_of_two_meters_in_one_place_the_first_counts() -> None:
    """The same thing measured twice."""
    first, second = meter("a", id_="first"), meter("a", id_="second")
    assert list(outermost([first, second, meter("a", "b")])) == [first]
    assert list(outermost([meter("a", "b"), second, first])) == [second]


def test_a_superchip_s_gpu_is_in_its_module_and_is_one_resource() -> None:
    """The module's watts are the host's, the GPU's are the resource's."""
    gpu, module = meter("module-0", "gpu:1", watts=4.0, resource="gpu:1"), meter("module-0")
    assert list(outermost([gpu, module, meter("x")])) == [module, meter("x")]
    assert list(of_resources([gpu, module])) == [gpu]


def test_power_has_a_sum_where_every_meter_tells_it() -> None:
    """One that does not makes the sum unknown, and so does no meter at all."""
    assert Disjoint([meter("a", watts=1.5), meter("b", watts=0.0)]).watts() == 1.5
    assert Disjoint([meter("a", watts=0.0)]).watts() == 0.0
    assert Disjoint([meter("a"), meter("b", watts=None)]).watts() is None
    assert Disjoint([]).watts() is None


def test_a_sum_says_how_its_parts_were_obtained() -> None:
    """Each way once."""
    parts = [meter("a"), meter("b", source=Source.DERIVED), meter("c")]
    assert Disjoint(parts).sources() == {Source.SENSOR, Source.DERIVED}


def test_an_overlap_says_which_two_it_is() -> None:
    """Also where others are sorted between what is compared."""
    with pytest.raises(ValueError, match="meters overlap: outer and inner"):
        Disjoint([meter("b"), meter("a", "x", id_="inner"), meter("a", id_="outer"), meter("ab")])


def test_modules_that_the_board_and_the_driver_both_measure_count_once() -> None:
    """The board's; a GPU that the driver puts in no module is measured besides."""
    board = [meter("module-0"), meter("module-1", "grace-1")]
    driver = [meter("module:GPU-1"), meter("module:GPU-2", "gpu:GPU-2", resource="gpu:GPU-2")]
    alone = meter("gpu:GPU-3")
    assert list(outermost([*driver, *board, alone])) == [board[0], alone, board[1]]
    assert list(outermost([*driver, alone])) == [driver[0], alone, driver[1]]
    assert list(of_resources([*driver, *board])) == [driver[1]]
