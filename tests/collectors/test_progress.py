"""Progress told from outside, all the way through the meter: nothing twice, nothing made up."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from unitcost.collectors.progress import Track, amount_of, count_of, counters
from unitcost.pricing.sample import NS_PER_SECOND, Quantity, Sample, Subject
from unitcost.pricing.timeline import ClockReading
from unitcost.pricing.training_sources import Progress
from unitcost.pricing.unit_points import UnitMeter
from unitcost.pricing.units import count
from unitcost.pricing.workload import WorkloadKind

SECOND = NS_PER_SECOND


class Counted:
    """What the meter makes of a track, read every second."""

    def __init__(self) -> None:
        self.meter = UnitMeter()
        self.seconds = 1000
        self.steps = 0

    def read(self, track: Track) -> None:
        """One tick."""
        self.seconds += 1
        mono = self.seconds * SECOND
        samples: list[Sample] = list(counters("hf:x", track.take(), mono))
        born = track.begin_ns if track.from_zero else None
        found = Subject("hf:x", "tuner", WorkloadKind.TRAINING, born_wall_ns=born)
        clock = ClockReading(wall_ns=mono, mono_ns=mono, boot_ns=mono, boot_id="x")
        counted = count(self.meter, [found] if samples else [], samples, 0, clock)
        self.meter = counted.meter
        for (_, quantity, _), micro in counted.units.items():
            if quantity is Quantity.STEPS:
                self.steps += micro
        assert self.steps >= 0

    def run(self, track: Track, first: int, last: int, pace: int, start: int = 1000) -> None:
        """Post once a second from where it is, and read after each post."""
        for number, step in enumerate(range(first, last + 1, pace)):
            track.add(Progress((start + number + 1) * SECOND, step, step / 10))
            self.read(track)


@given(pace=st.integers(1, 50), posts=st.integers(2, 20))
def test_a_run_from_zero_counts_whole(pace: int, posts: int) -> None:
    """Though it is held back at first."""
    counted, track = Counted(), Track()
    track.begin(1000 * SECOND)
    counted.run(track, pace, pace * posts, pace)
    assert counted.steps == pace * posts * 10**6


@given(base=st.integers(5000, 10**6), pace=st.integers(1, 50), posts=st.integers(4, 20))
def test_a_resumed_run_counts_what_it_did(base: int, pace: int, posts: int) -> None:
    """From its first record on: how much of that it brought along nobody says."""
    counted, track = Counted(), Track()
    track.begin(1000 * SECOND)
    counted.run(track, base + pace, base + pace * posts, pace)
    counted.read(track)
    assert counted.steps / 10**6 == pace * (posts - 1)


@given(before=st.integers(2, 30), again=st.integers(2, 30))
def test_a_second_training_from_zero_counts_as_well(before: int, again: int) -> None:
    """In the same process: counters begin anew."""
    counted, track = Counted(), Track()
    track.begin(1000 * SECOND)
    counted.run(track, 3, 3 * before, 3)
    track.end()
    counted.read(track)
    track.begin(2000 * SECOND)
    counted.read(track)
    counted.run(track, 3, 3 * again, 3, start=2000)
    counted.read(track)
    assert counted.steps == 3 * (before + again) * 10**6


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=30))
def test_repeated_steps_are_not_counted_again(steps: list[int]) -> None:
    """Where logs go back, what was counted once stays."""
    counted, track = Counted(), Track()
    for number, step in enumerate(steps):
        track.add(Progress(number, step))
        counted.read(track)
    assert counted.steps == (max(steps) - steps[0]) * 10**6


def test_steps_repeated_while_the_exporter_starts_anew_are_not_counted_again() -> None:
    """A node fails: job and exporter begin again, the job from its last checkpoint."""
    counted, track = Counted(), Track()
    track.begin(1000 * SECOND)
    counted.run(track, 10, 1000, 10)
    again = Track()  # the new exporter's, which did not see how far the run was
    counted.run(again, 810, 1100, 10, start=2000)
    assert counted.steps == 1100 * 10**6


def test_marks_are_whole_epochs_once() -> None:
    """Several that ended between two posts are one mark, which shares the cost."""
    track = Track()
    track.begin(0)
    for second, epoch in ((1, 0.5), (2, 0.99), (3, 1.0), (4, 1.5), (5, 4.2), (6, 4.2)):
        track.add(Progress(second * SECOND, None, epoch))
    marks = [(mark.epoch, mark.wall_ns) for mark in track.marks("hf:x", 1)]
    assert marks == [(1.0, 3 * SECOND), (4.0, 5 * SECOND)]


def test_nothing_is_marked_before_it_is_known_where_it_began() -> None:
    """And then first where that was, before the run's birth."""
    track = Track()
    track.begin(1000 * SECOND)
    for number in range(4):
        assert list(track.marks("hf:x", 77)) == []
        track.add(Progress((1001 + number) * SECOND, 500 + number, 49.9 + number / 10))
    found = list(track.marks("hf:x", 77))
    assert (found[0].epoch, found[0].wall_ns) == (49.0, 76)
    assert [mark.epoch for mark in found[1:]] == [50.0]


def test_numbers_that_cannot_be_are_none() -> None:
    """Fractions of a step, negative, not finite, too large."""
    assert [count_of(n) for n in (3.0, 3.5, -1.0, float("nan"), float("inf"), 2.0**53)] == [
        3,
        None,
        None,
        None,
        None,
        None,
    ]
    assert amount_of(3.5) == 3.5
    assert amount_of(None) is None
    assert replace(Progress(0), steps=1).steps == 1
