"""Units where several layers count the same work, gauges, and who is only followed."""

from dataclasses import replace

from tests.pricing.test_units import SECOND, ZERO, read, requests, subject, total
from unitcost.pricing.meter import Event, Point
from unitcost.pricing.resource import MICRO
from unitcost.pricing.sample import Kind, Layer, Quantity, Sample, Source, Subject, TokenType
from unitcost.pricing.timeline import ClockReading
from unitcost.pricing.unit_points import MAX_STALE, Series, UnitMeter, without_oldest
from unitcost.pricing.units import Count, count
from unitcost.pricing.workload import Account

REQUESTS, TOKENS = Quantity.REQUESTS, Quantity.TOKENS
RUNNING = Quantity.REQUESTS_RUNNING
ENGINE = replace(subject("engine"), claims=frozenset({REQUESTS, TOKENS, RUNNING}))
GATEWAY = replace(subject("gateway"), claims=frozenset({REQUESTS}), layer=Layer.GATEWAY)
BOTH = [ENGINE, GATEWAY]
M = Account("chat", "m")


def tokens(who: Subject, value: float, at: int, model: str = "m", tenant: str = "") -> Sample:
    """Output tokens so far."""
    label = TokenType.OUTPUT
    return Sample(who.id, TOKENS, value, at, label=label, model=model, tenant=tenant)


def running(who: Subject, value: float, at: int) -> Sample:
    """Requests being worked on now."""
    return Sample(who.id, RUNNING, value, at, Kind.GAUGE, model="m")


def follow(meter: UnitMeter, samples: list[Sample], unbilled: set[str], at: int) -> Count:
    """A round in which some are only followed."""
    return count(meter, BOTH, samples, ZERO, ClockReading(ZERO + at, at, at, ""), unbilled)


def started() -> UnitMeter:
    """Both layers were read once."""
    samples = [requests(ENGINE, 5, 9 * SECOND), requests(GATEWAY, 7, 9 * SECOND)]
    return read(UnitMeter(), BOTH, [*samples, tokens(ENGINE, 100, 9 * SECOND)]).meter


def test_the_outer_layer_is_billed_for_what_it_counts() -> None:
    """And the inner one for the rest; what each counted is there to compare."""
    at = 14 * SECOND
    now = [requests(ENGINE, 9, at), requests(GATEWAY, 10, at), tokens(ENGINE, 130, at)]
    found = read(started(), BOTH, now)
    assert found.units == {
        (M, REQUESTS, "succeeded"): 3 * MICRO,
        (M, TOKENS, TokenType.OUTPUT): 30 * MICRO,
    }
    assert found.authority == {
        ("chat", REQUESTS): Layer.GATEWAY,
        ("chat", TOKENS): Layer.ENGINE,
        ("chat", RUNNING): Layer.ENGINE,
    }
    assert found.by_layer[Layer.ENGINE, M, REQUESTS, "succeeded"] == 4 * MICRO


def test_a_layer_that_does_not_answer_is_billed_all_the_same() -> None:
    """What it said before stands: the engine does not take its place for a while."""
    at = 14 * SECOND
    silent = [ENGINE, replace(GATEWAY, up=False)]
    found = read(started(), silent, [requests(ENGINE, 9, at)])
    assert found.units == {}
    back = read(found.meter, BOTH, [requests(GATEWAY, 12, at), requests(ENGINE, 9, at + 1)])
    assert found.authority[("chat", REQUESTS)] is Layer.GATEWAY
    assert total(back) == 5


def test_a_layer_that_is_named_again_is_not_billed_for_what_another_was() -> None:
    """Nobody spoke of the gateway, so the engine was billed; its count since is on the bill."""
    at = 14 * SECOND
    alone = read(started(), [ENGINE], [requests(ENGINE, 9, at)])
    assert total(alone) == 4
    back = read(alone.meter, BOTH, [requests(GATEWAY, 11, at + 5), requests(ENGINE, 9, at + 5)])
    assert total(back) == 0
    assert back.events == {Event.FIRST: 1, Event.COUNTED: 1}
    later = read(back.meter, BOTH, [requests(GATEWAY, 13, at + 9)])
    assert total(later) == 2


def test_an_inner_layer_that_is_named_again_was_stood_in_for_by_none() -> None:
    """The gateway counts further out; what the engine counted meanwhile is only its own."""
    at = 14 * SECOND
    alone = read(started(), [GATEWAY], [requests(GATEWAY, 8, at)])
    back = read(alone.meter, BOTH, [tokens(ENGINE, 190, at + 5)])
    assert back.units[M, TOKENS, TokenType.OUTPUT] == 90 * MICRO
    stranger = replace(ENGINE, id="server:other", workload="other")
    gone = read(started(), [ENGINE, stranger], [requests(stranger, 1, at)])
    both = read(gone.meter, [stranger, GATEWAY], [requests(GATEWAY, 9, at + 5)])
    assert total(both) == 2


def test_models_follow_the_names_of_the_layer_that_counts_requests() -> None:
    """One model here and one there are the same; the gauge of the engine bears that name too."""
    at = 14 * SECOND
    now = [
        requests(ENGINE, 6, at, model="weights.bin"),
        tokens(ENGINE, 130, at, model="weights.bin"),
        requests(GATEWAY, 9, at, model="chat-large"),
        running(ENGINE, 3, at),
    ]
    before = read(UnitMeter(), BOTH, [replace(each, value=0, mono_ns=9 * SECOND) for each in now])
    found = read(before.meter, BOTH, [replace(each) for each in now])
    large = Account("chat", "chat-large")
    assert found.units == {
        (large, REQUESTS, "succeeded"): 9 * MICRO,
        (large, TOKENS, TokenType.OUTPUT): 130 * MICRO,
    }
    assert found.gauges == {(M, RUNNING, ""): 3 * MICRO}


def test_names_of_models_are_those_read_now_else_those_of_before() -> None:
    """A model that another took the place of is there no more; one that is silent still is."""
    at = 14 * SECOND
    first = [requests(ENGINE, 6, 9 * SECOND, model="old"), requests(GATEWAY, 6, 9 * SECOND)]
    meter = read(UnitMeter(), BOTH, first).meter
    new = [requests(ENGINE, 1, at, model="new"), tokens(ENGINE, 50, at, model="new")]
    found = read(meter, BOTH, new)  # the gateway's name is that of before
    assert {account.model for account, quantity, _ in found.units if quantity is TOKENS} == {"m"}
    two = [*new, requests(ENGINE, 1, at, model="third"), requests(GATEWAY, 8, at)]
    found = read(meter, BOTH, two)
    assert not any(quantity is TOKENS for _, quantity, _ in found.units)


def test_series_that_served_nothing_name_no_model() -> None:
    """A client can make up names that fail, and a counter at zero is no work."""
    at = 14 * SECOND
    idle = [requests(ENGINE, 0, at, model="idle"), tokens(ENGINE, 0, at, model="idle")]
    failing = requests(ENGINE, 9, at, model="made-up", label="failed")
    steps = Sample(ENGINE.id, Quantity.STEPS, 5, at, model="odd")
    now = [*idle, failing, steps, requests(GATEWAY, 9, at), tokens(ENGINE, 130, at, model="real")]
    found = read(started(), BOTH, now)
    assert found.units[M, TOKENS, TokenType.OUTPUT] == 130 * MICRO


def test_tenants_of_a_layer_that_is_not_billed_are_nobody_s() -> None:
    """Their tokens at the gateway are no part of the engine's."""
    outer = replace(GATEWAY, claims=frozenset({REQUESTS, TOKENS}), tenancy="by team")
    pair = [ENGINE, outer]
    first = [tokens(each, 0, 9 * SECOND, tenant="ads") for each in pair]
    meter = read(UnitMeter(), pair, [*first, tokens(ENGINE, 0, 9 * SECOND)]).meter
    at = 14 * SECOND
    now = [tokens(ENGINE, 5, at, tenant="ads"), tokens(outer, 7, at, tenant="ads")]
    found = read(meter, pair, now)
    assert found.tenants == {(M, "ads", TOKENS, TokenType.OUTPUT): 7 * MICRO}
    again = [tokens(outer, 7, at + 5, tenant="ads"), tokens(outer, 9, at + 5, model="n")]
    assert read(found.meter, pair, again).tenants == {}  # nothing new is no part


def test_who_is_only_followed_is_not_billed_and_loses_nothing() -> None:
    """Another counts the same; once it is left alone it goes on from where it is."""
    at = 14 * SECOND
    now = [requests(GATEWAY, 10, at), running(ENGINE, 3, at), running(GATEWAY, 4, at)]
    found = follow(started(), now, {GATEWAY.id, ENGINE.id}, at)
    assert (found.units, found.gauges) == ({}, {})
    assert found.events == {Event.COUNTED: 1}
    after = [requests(GATEWAY, 12, at + 5), running(ENGINE, 3, at), running(GATEWAY, 4, at)]
    found = follow(found.meter, after, set(), at + 5)
    assert total(found) == 2
    assert found.gauges == {(M, RUNNING, ""): 3 * MICRO}


def test_samples_of_strangers_are_left_out_and_junk_keeps_no_point() -> None:
    """One whose subject is not there, one that is no number, one that is told twice."""
    lost = replace(ENGINE, id="server:lost")
    at = 9 * SECOND
    odd = [requests(lost, 5, at), requests(ENGINE, float("nan"), at), tokens(ENGINE, 1, at)]
    found = read(UnitMeter(), [ENGINE], [*odd, tokens(ENGINE, 9, at)])
    assert {series.quantity for series in found.meter.points} == {TOKENS}
    assert found.events == {Event.JUNK: 1, Event.FIRST: 1, Event.DUPLICATE: 1}
    (point,) = found.meter.points.values()
    assert point.micro == MICRO


def test_a_server_that_claims_nothing_leaves_the_bill_to_all() -> None:
    """As tables without layers do."""
    plain = replace(ENGINE, claims=frozenset())
    meter = read(UnitMeter(), plain, [requests(plain, 1, 9 * SECOND)]).meter
    found = read(meter, plain, [requests(plain, 4, 14 * SECOND)])
    assert (total(found), found.authority) == (3, {})


def series(who: str, number: int) -> Series:
    """One of many counters."""
    return Series(who, REQUESTS, "succeeded", str(number), "")


def test_of_too_many_counters_the_oldest_go_and_only_of_who_has_them() -> None:
    """Those of this round stay, however many."""
    many = {series("many", n): Point(0, n) for n in range(MAX_STALE + 3)}
    few = {series("few", n): Point(0, 0) for n in range(2)}
    fresh = {series("many", MAX_STALE + 2), series("few", 0)}
    kept = without_oldest({**many, **few}, fresh)
    gone = (many.keys() | few.keys()) - kept.keys()
    assert gone == {series("many", 0), series("many", 1)}
    exactly = dict(list(many.items())[3:])
    assert without_oldest(exactly, set()) is exactly


def test_a_series_told_three_times_counts_once_and_what_follows_it_counts() -> None:
    """The other two are duplicates; nothing after them is lost."""
    at = 14 * SECOND
    same = [requests(ENGINE, value, at) for value in (9, 99, 999)]
    found = read(started(), [ENGINE], [*same, tokens(ENGINE, 130, at)])
    assert found.events == {Event.COUNTED: 2, Event.DUPLICATE: 2}
    assert found.units[M, REQUESTS, "succeeded"] == 4 * MICRO
    assert found.units[M, TOKENS, TokenType.OUTPUT] == 30 * MICRO


def test_a_counter_that_wraps_or_is_a_difference_is_read_as_such() -> None:
    """Its sample says so."""
    first = [
        replace(requests(ENGINE, 250, 9 * SECOND), wraps_at=256.0),
        replace(tokens(ENGINE, 100, 9 * SECOND), source=Source.DERIVED),
        requests(ENGINE, 100, 9 * SECOND, label="failed"),
    ]
    meter = read(UnitMeter(), [ENGINE], first).meter
    at = 14 * SECOND
    now = [
        replace(requests(ENGINE, 4, at), wraps_at=256.0),
        replace(tokens(ENGINE, 99, at), source=Source.DERIVED),
        requests(ENGINE, 99, at, label="failed"),
    ]
    found = read(meter, [ENGINE], now)
    assert found.events == {Event.WRAP: 1, Event.COUNTED: 1, Event.RESET: 1}
    assert found.units == {
        (M, REQUESTS, "succeeded"): 10 * MICRO,
        (M, TOKENS, TokenType.OUTPUT): 0,
        (M, REQUESTS, "failed"): 99 * MICRO,
    }


def test_a_tenant_s_parts_of_several_servers_add_up() -> None:
    """As those of several engines of one server do."""
    other = replace(ENGINE, id="server:other")
    pair, at = [ENGINE, other], 14 * SECOND
    both = [tokens(each, 0, 9 * SECOND, tenant="ads") for each in pair]
    meter = read(UnitMeter(), pair, both).meter
    now = [tokens(ENGINE, 5, at, tenant="ads"), tokens(other, 7, at, tenant="ads")]
    parts = [replace(each, part="1") for each in now]
    found = read(meter, pair, [*now, *parts])
    assert found.tenants == {(M, "ads", TOKENS, TokenType.OUTPUT): 24 * MICRO}


def test_a_layer_that_started_anew_claims_what_it_did_before() -> None:
    """It has not shown its tokens yet; else another would count its first work, and then it too."""
    fresh = replace(ENGINE, claims=frozenset({REQUESTS}))
    at = 14 * SECOND
    found = read(started(), [fresh], [requests(ENGINE, 0, at)])
    assert found.meter.seen[ENGINE.id].claims == ENGINE.claims
    served = read(started(), [fresh], [requests(ENGINE, 1, at)])
    assert served.meter.seen[ENGINE.id].claims == fresh.claims


def test_names_of_models_matter_only_where_there_are_layers() -> None:
    """Two engines alone keep theirs, though one of them counts the requests."""
    one = replace(ENGINE, claims=frozenset({REQUESTS}))
    two = replace(ENGINE, id="server:two", claims=frozenset({TOKENS}))
    at = 14 * SECOND
    first = [requests(one, 0, 9 * SECOND, model="a"), tokens(two, 0, 9 * SECOND, model="b")]
    meter = read(UnitMeter(), [one, two], first).meter
    found = read(
        meter, [one, two], [requests(one, 3, at, model="a"), tokens(two, 9, at, model="b")]
    )
    assert {account.model for account, _, _ in found.units} == {"a", "b"}


def test_the_smallest_part_of_a_unit_is_work() -> None:
    """A millionth names a model."""
    at = 14 * SECOND
    for served in (requests(GATEWAY, 1e-6, at, model="x"), tokens(GATEWAY, 1e-6, at, model="x")):
        first = replace(served, value=0.0, mono_ns=9 * SECOND)
        meter = read(UnitMeter(), BOTH, [first, tokens(ENGINE, 0, 9 * SECOND)]).meter
        found = read(meter, BOTH, [served, tokens(ENGINE, 9, at)])
        models = {account.model for account, quantity, _ in found.units if quantity is TOKENS}
        assert models == {"x"}
