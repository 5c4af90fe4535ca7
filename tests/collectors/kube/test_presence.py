"""Adding up for how long each device was held, on a clock made up."""

from hypothesis import given
from hypothesis import strategies as st

from unitcost.collectors.kube.presence import MAX_CARRY_NS, MAX_HOLDINGS, Holding, Presence, Span

S = 10**9


def holding(pod: str, device: str = "GPU-a", claimed: bool = False) -> Holding:
    """A GPU in the only container of a pod."""
    return Holding("ns", pod, "main", "nvidia.com/gpu", device, claimed)


A, B = holding("a"), holding("b", "GPU-b")


def held(span: Span | None) -> tuple[int, dict[str, int]]:
    """The length of a span and the time of each pod, in seconds."""
    assert span is not None
    times: dict[str, int] = {}
    for each, held_ns in span.held.items():
        times[each.pod] = times.get(each.pod, 0) + held_ns
    return span.span_ns // S, {pod: ns // S for pod, ns in times.items()}


def test_before_the_first_view_there_is_no_span() -> None:
    """Nothing is known, which is not that nobody holds anything."""
    assert Presence().take(S) is None


def test_a_holding_lasts_from_the_view_that_shows_it_to_the_one_that_does_not() -> None:
    """And spans follow each other without a gap."""
    presence = Presence()
    presence.saw(frozenset({A}), 10 * S)
    assert held(presence.take(11 * S)) == (1, {"a": 1})
    presence.saw(frozenset({A, B}), 12 * S)
    presence.seen_again(13 * S)
    presence.saw(frozenset({B}), 14 * S)
    assert held(presence.take(16 * S)) == (5, {"a": 3, "b": 4})
    presence.saw(frozenset(), 16 * S)
    assert held(presence.take(17 * S)) == (1, {})


def test_what_came_and_went_between_two_takes_is_billed() -> None:
    """A pod need not live until the next tick."""
    presence = Presence()
    presence.saw(frozenset(), 0)
    presence.saw(frozenset({A}), 1 * S)
    presence.saw(frozenset(), 2 * S)
    assert held(presence.take(5 * S)) == (5, {"a": 1})
    assert held(presence.take(10 * S)) == (5, {})


def test_a_view_counts_on_while_there_is_no_newer_one_but_not_for_ever() -> None:
    """Five minutes; after that the span ends, and the next begins with the next view."""
    presence = Presence()
    presence.saw(frozenset({A}), 0)
    assert held(presence.take(299 * S)) == (299, {"a": 299})
    presence.seen_again(300 * S)
    late = 300 * S + MAX_CARRY_NS + 50 * S
    span = presence.take(late)
    assert held(span) == (301, {"a": 301})
    assert span is not None
    assert span.end_ns == late - 50 * S
    presence.seen_again(late + 10 * S)
    assert held(presence.take(late + 15 * S)) == (5, {"a": 5})


def test_a_skipped_span_is_nobodys() -> None:
    """Somebody else accounted for it."""
    presence = Presence()
    presence.saw(frozenset({A}), 0)
    presence.skip(5 * S)
    presence.seen_again(7 * S)
    assert held(presence.take(9 * S)) == (4, {"a": 4})


def test_a_pod_that_has_ended_holds_nothing_more_though_it_is_listed() -> None:
    """Kubelets before 1.34 list it until it is deleted."""
    presence = Presence()
    presence.saw(frozenset({A, B}), 0)
    presence.finish([("ns", "a"), ("ns", "not-listed")], 2 * S)
    assert held(presence.take(5 * S)) == (5, {"a": 2, "b": 5})
    assert held(presence.take(6 * S)) == (1, {"b": 1})
    presence.saw(frozenset({B}), 6 * S)
    presence.saw(frozenset({A, B}), 7 * S)  # another pod by the same name
    assert held(presence.take(8 * S)) == (2, {"a": 1, "b": 2})


def test_of_two_pods_on_one_device_the_newer_holds_it() -> None:
    """The older one has ended, though we are not told."""
    presence = Presence()
    old, new = holding("old"), holding("new")
    presence.saw(frozenset({old}), 0)
    presence.saw(frozenset({old, new}), 2 * S)
    assert held(presence.take(6 * S)) == (6, {"old": 2, "new": 4})


def test_pods_on_one_device_that_are_equally_new_share_it() -> None:
    """As long as nothing tells which of them has ended."""
    presence = Presence()
    presence.saw(frozenset({holding("x"), holding("y")}), 0)
    assert held(presence.take(4 * S)) == (4, {"x": 2, "y": 2})
    presence.finish([("ns", "x")], 4 * S)
    assert held(presence.take(8 * S)) == (4, {"y": 4})


def test_a_claimed_device_is_held_by_all_who_share_the_claim() -> None:
    """Each has it for the whole time; how to split it is not for us to say."""
    presence = Presence()
    presence.saw(frozenset({holding("x", claimed=True), holding("y", claimed=True)}), 0)
    assert held(presence.take(4 * S)) == (4, {"x": 4, "y": 4})


def test_spans_that_nobody_takes_do_not_pile_up() -> None:
    """Pods come and go, but what is kept is bounded."""
    presence = Presence()
    for now in range(0, 3 * MAX_HOLDINGS, 100):
        pods = frozenset(holding(f"p{now + i}", f"GPU-{i}") for i in range(100))
        presence.saw(pods, now * S)
    span = presence.take(3 * MAX_HOLDINGS * S)
    assert span is not None
    assert len(span.held) <= MAX_HOLDINGS
    assert sum(span.held.values()) <= 100 * span.span_ns


EVENTS = st.lists(
    st.tuples(
        st.integers(0, 400 * S),
        st.sampled_from(["view", "again", "take", "skip", "finish"]),
        st.frozensets(st.tuples(st.sampled_from("abc"), st.sampled_from("xy")), max_size=6),
    ),
    max_size=60,
)


@given(EVENTS)
def test_no_device_is_held_for_longer_than_the_span(
    events: list[tuple[int, str, frozenset[tuple[str, str]]]],
) -> None:
    """Whatever is listed and when; and spans do not overlap."""
    presence, now, last_end = Presence(), 0, 0
    for step, event, pairs in [*events, (S, "take", frozenset())]:
        now += step
        if event == "view":
            presence.saw(frozenset(holding(pod, device) for pod, device in pairs), now)
        elif event == "again":
            presence.seen_again(now)
        elif event == "finish":
            presence.finish([("ns", pod) for pod, _ in pairs], now)
        elif event == "skip":
            presence.skip(now)
            last_end = now
        elif (span := presence.take(now)) is not None:
            assert last_end <= span.end_ns - span.span_ns <= span.end_ns <= now
            last_end = span.end_ns
            for device in "xy":
                times = [ns for each, ns in span.held.items() if each.device == device]
                assert min(times, default=0) >= 0
                assert sum(times) <= span.span_ns
