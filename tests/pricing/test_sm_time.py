"""SM time from samples: of a driver that gives one for each process, and of one that gives many."""

from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.device import SmSample
from unitcost.pricing.sm_time import sm_millionths

MILLION = 10**6


def test_no_samples_are_no_time() -> None:
    """Of anybody."""
    assert sm_millionths([]) == {}


def test_one_sample_of_each_process_stands_for_the_interval() -> None:
    """Whenever each was taken."""
    found = sm_millionths([SmSample(1, 100, 25), SmSample(2, 100, 50), SmSample(3, 900, 0)])
    assert found == {1: 250_000, 2: 500_000, 3: 0}


def test_of_several_samples_those_left_out_are_idleness() -> None:
    """A process that worked at one of four instants worked a quarter of the time."""
    busy = [SmSample(1, at, 60) for at in (100, 200, 300, 400)]
    found = sm_millionths([*busy, SmSample(2, 300, 40)])
    assert found == {1: 600_000, 2: 100_000}


def test_one_after_the_other_they_share_the_time() -> None:
    """Two processes that never worked at once."""
    first = [SmSample(1, at, 100) for at in (1, 2)]
    second = [SmSample(2, at, 100) for at in (3, 4)]
    assert sm_millionths(first + second) == {1: 500_000, 2: 500_000}


def test_a_sample_that_is_given_twice_counts_once() -> None:
    """The later one of the same instant."""
    assert sm_millionths([SmSample(1, 5, 10), SmSample(1, 5, 30)]) == {1: 300_000}
    several = [SmSample(1, 5, 10), SmSample(1, 5, 30), SmSample(1, 6, 30)]
    assert sm_millionths(several) == {1: 300_000}


SAMPLES = st.lists(
    st.builds(SmSample, st.integers(1, 4), st.integers(0, 6), st.integers(0, 100)), max_size=20
)


@given(SAMPLES)
def test_nobody_has_less_than_nothing_or_more_than_all_of_the_time(samples: list[SmSample]) -> None:
    """Every process that was sampled is there, and no other; order tells nothing but the last."""
    found = sm_millionths(samples)
    assert found.keys() == {sample.pid for sample in samples}
    assert all(0 <= millionths <= MILLION for millionths in found.values())
    once = {(sample.pid, sample.at_us): sample for sample in samples}
    assert sm_millionths(reversed(list(once.values()))) == found


@given(st.dictionaries(st.integers(1, 50), st.integers(0, 100), min_size=1), st.integers(2, 9))
def test_where_all_are_sampled_at_all_instants_each_has_its_mean(
    percents: dict[int, int], instants: int
) -> None:
    """As many instants as there are change nothing."""
    samples = [SmSample(pid, at, n) for at in range(instants) for pid, n in percents.items()]
    assert sm_millionths(samples) == {pid: n * 10_000 for pid, n in percents.items()}
