"""What is told: once when it begins, once when it is over, over restarts, and never a flood."""

from hypothesis import given
from hypothesis import strategies as st

from unitcost.exporter.notify.alerts import Alert, Severity
from unitcost.exporter.notify.book import MAX_IN_POST, MAX_WAITING, Manners, NotifyBook, Post

SECOND = 10**9
HOUR = 3600 * SECOND
START = 1_767_225_600 * SECOND
MANNERS = Manners(patience_ns=60 * SECOND, group_ns=30 * SECOND, again_ns=24 * HOUR)


def alert(name: str = "a", kind: str = "drift") -> Alert:
    """One of many."""
    return Alert(kind, (name,), Severity.WARNING, f"{name} is dearer")


def book(*channels: str) -> NotifyBook:
    """An empty one."""
    return NotifyBook(channels or ("slack",), MANNERS)


def posts(one: NotifyBook, channel: str = "slack") -> list[Post]:
    """What waits."""
    return list(one.document.waiting.get(channel, ()))


def told(one: NotifyBook) -> list[tuple[str, bool]]:
    """Everything that waits: which alert, and whether it is over."""
    return [(each.alert.subject[0], each.resolved) for post in posts(one) for each in post.tellings]


def at(seconds: float) -> int:
    """So long after the start."""
    return START + round(seconds * SECOND)


def test_told_once_after_a_while_and_once_when_it_is_over() -> None:
    """Not at every tick."""
    one = book()
    for second in range(0, 60, 5):
        one.update([alert()], at(second))
        assert told(one) == []
    for second in range(60, 600, 5):
        one.update([alert()], at(second))
        assert told(one) == [("a", False)]
    for second in range(600, 655, 5):
        one.update([], at(second))
    assert told(one) == [("a", False)]
    one.update([], at(655))
    assert told(one) == [("a", False), ("a", True)]
    assert one.document.active == ()


def test_what_flutters_is_not_told_again() -> None:
    """It must be gone for as long as it must be there."""
    one = book()
    for second in range(0, 900, 5):
        one.update([alert()] if second % 50 < 25 else [], at(second))
    assert told(one) == [("a", False)]


def test_a_moment_is_nothing() -> None:
    """Gone before its time."""
    one = book()
    one.update([alert()], at(0))
    for second in range(5, 300, 5):
        one.update([], at(second))
    assert told(one) == []
    assert one.document.active == ()


def test_after_a_day_it_is_said_again() -> None:
    """As still being there."""
    one = book()
    for minute in range(25 * 60):
        one.update([alert()], at(minute * 60))
    tellings = [each for post in posts(one) for each in post.tellings]
    assert [each.again for each in tellings] == [False, True]


def test_what_comes_at_once_goes_in_one_post() -> None:
    """And what comes soon after waits for the next."""
    one = book()
    many = [alert(f"w{n}") for n in range(MAX_IN_POST + 7)]
    one.update(many, at(0))
    one.update([*many, alert("late")], at(10))
    one.update([*many, alert("late")], at(60))
    (post,) = posts(one)
    assert (len(post.tellings), post.more) == (MAX_IN_POST, 7)
    one.update([*many, alert("late")], at(71))
    assert len(posts(one)) == 1
    one.update([*many, alert("late")], at(95))
    assert [each.alert.subject for each in posts(one)[1].tellings] == [("late",)]


def test_a_restart_goes_on_where_it_was() -> None:
    """What was told stays told, what waits goes on waiting; its end is told after a look or two."""
    one = book()
    one.update([alert()], at(0))
    one.update([alert()], at(60))
    two = book()
    two.resume(one.encode())
    two.update([alert()], at(65))
    assert told(two) == [("a", False)]
    two.done([("slack", posts(two)[0].id)])
    assert told(two) == []
    three = book()
    three.resume(two.encode())
    three.update([], at(200))
    assert told(three) == []
    three.update([], at(261))
    assert told(three) == [("a", True)]
    assert posts(three)[0].id > posts(one)[0].id


def test_each_channel_has_a_queue_of_its_own() -> None:
    """One that is away does not hold up the other; one that is new begins empty."""
    one = book("slack", "webhook")
    one.update([alert()], at(0))
    one.update([alert()], at(60))
    one.done([("slack", 1)])
    assert posts(one, "slack") == []
    assert len(posts(one, "webhook")) == 1
    two = book("webhook")
    two.resume(one.encode())
    assert len(posts(two, "webhook")) == 1
    assert "slack" not in two.document.waiting


def test_a_channel_that_is_away_for_long_loses_the_oldest_and_that_is_counted() -> None:
    """Bounded, whatever happens."""
    one = book()
    for number in range(MAX_WAITING + 5):
        one.post(Post(one.document.next_id, at(number)))
    assert len(posts(one)) == MAX_WAITING
    assert posts(one)[0].id == 6
    assert one.dropped == 5


def test_a_document_that_cannot_be_read_is_begun_anew() -> None:
    """It is no reason not to tell."""
    one = book()
    one.resume('{"active": 3}')
    assert one.document.active == ()


def test_nothing_is_written_while_nothing_changes() -> None:
    """The ledger need not hear of every tick."""
    one = book()
    one.update([alert()], at(0))
    one.update([alert()], at(60))
    one.changed = False
    for second in range(65, 600, 5):
        one.update([alert()], at(second))
    assert not one.changed


def test_a_clock_that_is_set_back_neither_repeats_nor_silences() -> None:
    """It goes on with what it says."""
    one = book()
    one.update([alert()], at(0))
    one.update([alert()], at(60))
    one.update([alert()], at(-7200))
    assert told(one) == [("a", False)]
    one.update([alert("b")], at(-7190))
    one.update([alert("b")], at(-7000))
    assert ("b", False) in told(one)


@given(st.lists(st.sets(st.sampled_from("abc")), max_size=60), st.integers(1, 120))
def test_beginnings_and_ends_take_turns(history: list[set[str]], step: int) -> None:
    """For each alert, whatever comes and goes, over restarts at every tick."""
    one = book()
    for number, names in enumerate(history):
        again = book()
        again.resume(one.encode())
        again.update([alert(name) for name in sorted(names)], at(number * step))
        one = again
    for number in range(10):
        one.update([], at((len(history) + number) * step + number * 100))
    for name in "abc":
        ends = [resolved for subject, resolved in told(one) if subject == name]
        assert ends == [bool(index % 2) for index in range(len(ends))]
        assert len(ends) % 2 == 0
