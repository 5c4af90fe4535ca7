"""Hostile and broken deliveries: rejected, counted by reason, and never stored."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.central.deliveries import HOUR, content, delivery
from tests.places import Places, Where
from unitcost.exporter.central.faults import Reason, Rejected
from unitcost.exporter.central.intake import Intake
from unitcost.exporter.central.store import CentralLedger, Outcome
from unitcost.exporter.fleet import protocol
from unitcost.exporter.fleet.protocol import encode
from unitcost.pricing.timeline import NS_PER_HOUR

H1 = frozenset({"h1"})
GOOD: dict[str, Any] = json.loads(encode(delivery(10)))


@pytest.fixture(scope="module")
def where(places: Places) -> Where:
    """A place for all of these."""
    return places.new()


@pytest.fixture(scope="module")
def intake(where: Where) -> Iterator[Intake]:
    """Of an empty ledger."""
    ledger = CentralLedger(where.place)
    ledger.open()
    yield Intake(ledger)
    ledger.close()


def changed(**more: Any) -> bytes:
    """A good delivery with other fields."""
    return json.dumps(GOOD | more).encode()


def with_row(table: str, **more: Any) -> bytes:
    """A good delivery with a field of a row's changed."""
    first, *rest = GOOD[table]
    return changed(**{table: [first | more, *rest]})


ELAPSED, PICO = GOOD["accruals"][0]["elapsed_ns"], GOOD["accruals"][0]["pico"]
CORRECTED = {"revision": 1, "elapsed_ns": -1, "quantity": -1, "pico": 0}
MALFORMED = {
    "nothing": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "no fields": b"{}",
    "deep": b"[" * 100_000,
    "a number": b"1" * 5000,
    "bytes that are no text": b'{"host": "\xff"}',
    "half a character": changed(host="h1").replace(b'"h1"', b'"\\ud800"'),
    "a newer protocol": changed(protocol=2),
    "an unknown field": changed(more=1),
    "an unknown field in a row": with_row("charges", more=1),
    "a host of no name": changed(host=""),
    "a host that is a number": changed(host=1),
    "a host with a zero byte": changed(host="h1\0"),
    "a huge host": changed(host="h" * 129),
    "a huge workload": with_row("charges", workload="w" * 10_000),
    "a workload with a zero byte": with_row("charges", workload="w\0"),
    "a ledger that is no random name": changed(ledger="a"),
    "an hour that is not yet": changed(hour=10**7),
    "an hour that is none": changed(hour=-1),
    "an hour that is a fraction": changed(hour=1.5),
    "time of another hour": changed(from_ns=1, to_ns=2),
    "no time": changed(from_ns=HOUR * NS_PER_HOUR, to_ns=HOUR * NS_PER_HOUR),
    "a session from the future": changed(opened=11),
    "a negative number": changed(seq=-1),
    "a number of 65 bits": changed(seq=2**64),
    "money of 65 bits": with_row("charges", pico=2**64),
    "money of 64 bits": with_row("charges", pico=2**63),
    "money in fractions": with_row("charges", pico=0.5),
    "money in text": with_row("charges", pico="1"),
    "money that is none": with_row("charges", pico=float("nan")),
    "negative money": with_row("accruals", pico=-1),
    "negative time": with_row("accruals", elapsed_ns=-1),
    "a negative quantity": with_row("charges", quantity=-1),
    "negative units": with_row("units", micro=-1),
    "a component nobody knows": with_row("charges", component="bribe"),
    "a state nobody knows": with_row("charges", state="asleep"),
    "an epoch without end": with_row("parts", epoch=1e300),
    "a run on no host": with_row("parts", hosts=0),
    "a row twice": changed(charges=[*GOOD["charges"], GOOD["charges"][0]]),
    "a price that is missing": changed(prices=[]),
}
UNBALANCED = {
    "a pico-dollar too much": with_row("charges", pico=GOOD["charges"][0]["pico"] + 1),
    "charged and not accrued": changed(accruals=[]),
    "accrued and not charged": changed(charges=[]),
    "another quantity": with_row("accruals", quantity=1),
    "another price": with_row("prices", pico_per_unit=1),
    "more time at the price": with_row("accruals", elapsed_ns=ELAPSED + 10**9),
    "a correction of nothing": changed(
        accruals=[*GOOD["accruals"], GOOD["accruals"][0] | CORRECTED]
    ),
}


def reject(intake: Intake, where: Where, body: bytes, coding: str = "", hosts: Any = H1) -> Reason:
    """Why it is rejected; nothing is stored."""
    before = content(where)
    with pytest.raises(Rejected) as caught:
        intake.take(body, coding, hosts)
    counted = intake.rejected[caught.value.reason]
    assert counted > 0
    assert content(where) == before
    assert len(str(caught.value)) < 300
    return caught.value.reason


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_makes_no_sense_is_malformed(intake: Intake, where: Where, body: bytes) -> None:
    """Whatever is wrong with it."""
    assert reject(intake, where, body) is Reason.MALFORMED


@pytest.mark.parametrize("body", UNBALANCED.values(), ids=UNBALANCED.keys())
def test_what_does_not_balance_is_not_taken(intake: Intake, where: Where, body: bytes) -> None:
    """To the pico-dollar: what is stored always sums."""
    assert reject(intake, where, body) is Reason.UNBALANCED


def test_another_hosts_token_is_not_good(intake: Intake, where: Where) -> None:
    """Nor is a name that only looks like it."""
    assert reject(intake, where, encode(delivery(10, host="h2"))) is Reason.WRONG_HOST
    assert reject(intake, where, encode(delivery(10, host="H1"))) is Reason.WRONG_HOST
    assert reject(intake, where, encode(delivery(10)), hosts=frozenset()) is Reason.WRONG_HOST


def test_what_is_packed_wrongly_is_malformed(intake: Intake, where: Where) -> None:
    """Cut short, with more behind it, or as something else."""
    packed = gzip.compress(encode(delivery(10)))
    for body in (b"", packed[:-1], packed[:50], packed + b"x", packed + packed, b"no gzip"):
        assert reject(intake, where, body, "gzip") is Reason.MALFORMED
    assert reject(intake, where, packed, "br") is Reason.MALFORMED
    assert reject(intake, where, packed) is Reason.MALFORMED


def test_what_unpacks_to_more_than_there_may_be_is_too_large(intake: Intake, where: Where) -> None:
    """However small it is packed."""
    bomb = gzip.compress(b" " * (protocol.MAX_TEXT + 1))
    assert len(bomb) < 100_000
    assert reject(intake, where, bomb, "gzip") is Reason.TOO_LARGE


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)


@given(st.data())
def test_a_field_of_any_kind_crashes_nothing(intake: Intake, data: st.DataObject) -> None:
    """It is taken, or rejected for a reason."""
    table = data.draw(st.sampled_from(["charges", "accruals", "units", "prices", "parts", "items"]))
    name = data.draw(st.sampled_from(sorted(GOOD[table][0])))
    body = with_row(table, **{name: data.draw(LEAVES)})
    try:
        reason = None if intake.take(body, "", H1) in set(Outcome) else Reason.CONFLICT
    except Rejected as error:
        reason = error.reason
    assert reason in (None, Reason.MALFORMED, Reason.UNBALANCED)


def test_a_good_one_is_taken_and_counted(intake: Intake, where: Where) -> None:
    """Packed or not; the second time it is there already."""
    high = msgspec.structs.replace(delivery(11), session=delivery(10).session)
    before = dict(intake.outcomes)
    assert intake.take(encode(high), "", H1) is Outcome.STORED
    assert intake.take(gzip.compress(encode(high)), "gzip", frozenset("*")) is Outcome.REPEATED
    assert intake.outcomes[Outcome.STORED] == before[Outcome.STORED] + 1
    assert intake.up
    where.change("DROP TABLE agent_hour")
    with pytest.raises(Rejected) as caught:
        intake.take(encode(high), "", H1)
    assert caught.value.reason is Reason.UNAVAILABLE
    assert intake.up is False
