"""Counters of a page that is read otherwise than before: by another table, or with tenants."""

from dataclasses import replace

from tests.pricing.test_units import SECOND, read, requests, subject, total
from unitcost.pricing.meter import Event
from unitcost.pricing.sample import Sample, Subject
from unitcost.pricing.unit_points import MAX_STALE, UnitMeter

WHO = replace(subject(), reading="table 1", tenancy="nobody")
THEIRS = replace(WHO, tenancy="by team")


def of_tenant(who: Subject, name: str, value: float, at: int) -> Sample:
    """One tenant's requests so far."""
    return replace(requests(who, value, at), tenant=name)


def test_tenants_that_are_first_asked_for_are_not_billed_for_their_history() -> None:
    """The gateway counted for them all along; that they are told apart now is our doing."""
    meter = read(UnitMeter(), WHO, [requests(WHO, 1000, 9 * SECOND)]).meter
    now = [requests(WHO, 1003, 14 * SECOND), of_tenant(WHO, "search", 700, 14 * SECOND)]
    found = read(meter, THEIRS, now)
    assert (total(found), found.tenants) == (3, {})
    assert found.events == {Event.COUNTED: 1, Event.FIRST: 1}
    later = [
        requests(WHO, 1010, 19 * SECOND),
        of_tenant(WHO, "search", 705, 19 * SECOND),
        of_tenant(WHO, "ads", 2, 19 * SECOND),
    ]
    found = read(found.meter, THEIRS, later)
    assert {key[1]: micro for key, micro in found.tenants.items()} == {
        "search": 5_000_000,
        "ads": 2_000_000,
    }


def test_tenants_of_another_label_are_others() -> None:
    """A user may be called as a team was."""
    meter = read(UnitMeter(), THEIRS, [of_tenant(THEIRS, "ops", 5, 9 * SECOND)]).meter
    by_user = replace(WHO, tenancy="by user")
    found = read(meter, by_user, [of_tenant(by_user, "ops", 90, 14 * SECOND)])
    assert found.tenants == {}
    found = read(found.meter, by_user, [of_tenant(by_user, "ops", 91, 19 * SECOND)])
    assert list(found.tenants.values()) == [1_000_000]


def test_a_field_that_a_new_table_has_is_not_billed_for_the_server_s_history() -> None:
    """Another release of the exporter, or a table of the configuration that was changed."""
    meter = read(UnitMeter(), WHO, [requests(WHO, 1000, 9 * SECOND)]).meter
    anew = replace(WHO, reading="table 2")
    now = [
        requests(anew, 400, 14 * SECOND),
        requests(anew, 600, 14 * SECOND, label="failed"),
    ]
    found = read(meter, anew, now)
    assert (total(found), found.events) == (0, {Event.FIRST: 2})
    more = [requests(anew, 401, 19 * SECOND), requests(anew, 600, 19 * SECOND, label="failed")]
    assert total(read(found.meter, anew, more)) == 1


def test_a_server_that_started_anew_is_read_from_zero_by_the_new_table() -> None:
    """Its birth in metered time proves that; one from before the last reading proves nothing."""
    old = replace(WHO, born_wall_ns=subject(born=6 * SECOND).born_wall_ns, generation="6")
    meter = read(UnitMeter(), old, [requests(old, 10, 9 * SECOND)]).meter
    same = replace(old, reading="table 2")
    assert total(read(meter, same, [requests(same, 12, 14 * SECOND)])) == 0
    new = replace(subject(born=12 * SECOND, generation="12"), reading="table 2")
    assert total(read(meter, new, [requests(new, 7, 14 * SECOND)])) == 7


def test_a_state_that_does_not_say_how_it_was_read_is_gone_on_with() -> None:
    """One of an exporter that did not note it."""
    before = replace(WHO, reading="", tenancy="")
    meter = read(UnitMeter(), before, [requests(before, 10, 9 * SECOND)]).meter
    assert total(read(meter, WHO, [requests(WHO, 12, 14 * SECOND)])) == 2


def test_series_that_are_there_no_more_are_not_remembered_for_ever() -> None:
    """A hostile page has other names every time, a collector other clients; the last ones stay."""
    who, meter, step = subject(), UnitMeter(), MAX_STALE // 4
    for turn in range(8):
        at = (10 + turn) * SECOND
        samples = [requests(who, 5, at, part=f"{turn}-{number}") for number in range(step)]
        found = read(meter, who, [*samples, requests(who, turn, at, part="stays")])
        assert total(found) == (5 * step + 1 if turn else 0)
        meter = found.meter
    assert len(meter.points) == MAX_STALE + step + 1
    assert {series.part.partition("-")[0] for series in meter.points} == {
        "stays",
        *map(str, range(3, 8)),
    }
