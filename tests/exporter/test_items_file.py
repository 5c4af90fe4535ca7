"""The items file: rows are appended, checked, and read whole or not at all."""

import contextlib
import logging
import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.exporter.items import file as items_file
from unitcost.exporter.items.file import COLUMNS, MAX_BYTES, NotRead, Rejected, parse
from unitcost.exporter.items.watch import ItemsFile
from unitcost.pricing.items import ItemKey, ItemType

HEADER = "id,item,workload,run,usd,at,start,end,per,model,note\n"
ROW = "data,data_acquisition,tuner,final,18000.25,2026-03-02T00:00:00+00:00\n"
LICENCE = "licence,other,chat,,0.0004,,,,request,llama-3,\n"


def test_each_row_is_an_item() -> None:
    """In whatever order the columns are; cells that are missing at the end are empty."""
    found = parse((HEADER + ROW + "\n , \n" + LICENCE).encode())
    assert found.rejected == ()
    data, licence = found.items
    assert data.key == ItemKey("data", "tuner", "", "final", ItemType.DATA_ACQUISITION)
    assert data.usd == Decimal("18000.25")
    assert licence.key == ItemKey("licence", "chat", "llama-3", "", ItemType.OTHER, "request")


def test_a_spreadsheet_s_file_is_read() -> None:
    """A byte-order mark, quotes, Windows' line ends, a note with a comma."""
    text = "\ufeffid,item,workload,usd,at,note\r\n"
    text += 'a,labelling,tuner,"1","2026-03-02T00:00:00Z","invoice 7, paid"\r\n'
    (item,) = parse(text.encode()).items
    assert item.note == "invoice 7, paid"


def test_of_several_rows_with_one_id_the_last_good_one_holds() -> None:
    """So a correction is a row more; one that is wrong corrects nothing."""
    lower = ROW.replace("18000.25", "17000")
    wrong = ROW.replace("18000.25", "much")
    found = parse((HEADER + ROW + LICENCE + lower + wrong).encode())
    assert {item.key.id: item.usd for item in found.items} == {
        "licence": Decimal("0.0004"),
        "data": Decimal(17000),
    }
    assert found.rejected == (Rejected(5, "usd: expected a number, got 'much'"),)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("a", "item: missing"),
        ("a,coffee,w,,1,,,,step", "item: expected data_acquisition"),
        ("a,other,w,,-1,,,,step", "usd: must be between 0"),
        ("a,other,w,,NaN,,,,step", "usd: expected a number"),
        ("a,other,w,,1e-13,,,,step", "usd: more than 12 digits"),
        ("a,other,w,,1", "when is it booked?"),
        ("a,other,__system__,,1,,,,step", "workload: __system__ is reserved"),
        ("a,other,w,,1,2026-03-02T00:00:00", "at: UTC offset missing"),
        ("a,other,w,r,1,,,,token", "per: a run serves no tokens"),
        ("a,other,w,,1,,,,step,,,,x", "it has more cells than the header"),
    ],
)
def test_a_row_that_makes_no_sense_is_left_out(row: str, problem: str) -> None:
    """By the same checks as in the configuration; those beside it count."""
    found = parse((HEADER + row + "\n" + ROW).encode())
    ((line, said),) = [(each.line, each.problem) for each in found.rejected]
    assert line == 2
    assert said.startswith(problem)
    assert [item.key.id for item in found.items] == ["data"]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\xff\xfe", "no text in UTF-8"),
        (b"#" * (MAX_BYTES + 1), "more than"),
        (b"id,colour\n", "no column is called 'colour'"),
        (b"id,id\n", "a column is there twice"),
        (HEADER.encode() + b'a,"b', "unexpected end of data"),
        (HEADER.encode() + b"x" * 200_000, "field larger"),
        ((HEADER + "\n" * 20_001).encode(), "more than 20000 rows"),
    ],
    ids=["not text", "too big", "unknown column", "twice", "open quote", "huge cell", "rows"],
)
def test_a_file_that_is_none_is_not_read_at_all(data: bytes, problem: str) -> None:
    """Half of it would withdraw the other half."""
    with pytest.raises(NotRead, match=problem):
        parse(data)


def test_there_is_a_most_of_items(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is over is left out; a correction of one that is there is not too much."""
    monkeypatch.setattr(items_file, "MAX_ITEMS", 1)
    found = parse((HEADER + ROW + LICENCE + ROW.replace("18000.25", "5")).encode())
    assert [item.usd for item in found.items] == [5]
    assert found.rejected == (Rejected(3, "more than 1 items"),)


@given(st.binary(max_size=200) | st.text(alphabet=HEADER + "0123\"', \r\n", max_size=200))
def test_junk_is_no_item_and_no_crash(junk: bytes | str) -> None:
    """Before the header or after it."""
    data = junk if isinstance(junk, bytes) else junk.encode()
    for given_data in (data, HEADER.encode() + data):
        with contextlib.suppress(NotRead):
            assert len(parse(given_data).items) <= len(given_data)


def test_the_columns_are_those_of_the_configuration() -> None:
    """Nothing can be stated in one place that cannot in the other."""
    assert set(HEADER.strip().split(",")) == set(COLUMNS)


class Place:
    """A file, and somebody who watches it, at an instant that is told."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "items.csv"
        self.now_ns = 10**18
        self.watcher = ItemsFile(str(self.path), lambda: self.now_ns)

    def write(self, text: str, age_seconds: float = 60.0) -> None:
        """The file is changed, so long ago."""
        self.path.write_text(text, encoding="utf-8")
        at = self.now_ns - round(age_seconds * 1e9)
        os.utime(self.path, ns=(at, at))

    def ids(self) -> list[str] | None:
        """What is known of it after a look."""
        self.watcher.look()
        items = self.watcher.current().items
        return None if items is None else [item.key.id for item in items]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """No file yet."""
    made = Place(tmp_path)
    yield made
    made.watcher.close()


def test_a_file_is_read_when_it_changes(place: Place) -> None:
    """And not again while it does not."""
    place.write(HEADER + ROW)
    assert place.ids() == ["data"]
    known = place.watcher.current()
    assert known.up
    assert place.ids() == ["data"]
    assert place.watcher.current() is known
    place.write(HEADER + ROW + LICENCE, age_seconds=30)
    assert place.ids() == ["data", "licence"]


def test_a_file_that_is_being_written_is_let_be(place: Place) -> None:
    """Until it is the same twice: half of 18000 is not an amount."""
    place.write(HEADER + ROW[:30], age_seconds=0)
    assert place.ids() is None
    place.write(HEADER + ROW[:40], age_seconds=0)
    assert place.ids() is None
    place.write(HEADER + ROW, age_seconds=0)
    assert place.ids() is None
    assert place.ids() == ["data"]


def test_a_time_of_change_in_the_future_is_waited_for_no_longer(place: Place) -> None:
    """A clock that is wrong keeps no item away."""
    place.write(HEADER + ROW, age_seconds=-3600)
    assert place.ids() is None
    assert place.ids() == ["data"]


def test_a_file_that_is_away_leaves_everything_as_it_was(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told once, and again only after it was there."""
    assert place.ids() is None
    assert not place.watcher.current().up
    place.write(HEADER + ROW)
    assert place.ids() == ["data"]
    caplog.clear()
    os.rename(place.path, place.path.with_suffix(".old"))
    for _ in range(3):
        assert place.ids() == ["data"]
    assert not place.watcher.current().up
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    os.rename(place.path.with_suffix(".old"), place.path)
    assert place.ids() == ["data"]
    assert place.watcher.current().up


def test_a_file_that_is_wrong_leaves_everything_as_it_was(place: Place) -> None:
    """It is read once, not at every look, and is down until it is mended."""
    place.write(HEADER + ROW)
    assert place.ids() == ["data"]
    place.write("id,colour\n", age_seconds=30)
    for _ in range(3):
        assert place.ids() == ["data"]
        assert not place.watcher.current().up
    place.write(HEADER + LICENCE, age_seconds=20)
    assert place.ids() == ["licence"]
    assert place.watcher.current().up


def test_rejected_rows_are_counted_and_logged_once(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """Not again because another row was appended; and not thousands at once."""
    wrong = "".join(f"w{n},coffee,w,,1,,,,step\n" for n in range(100))
    place.write(HEADER + wrong + ROW)
    assert place.ids() == ["data"]
    assert place.watcher.current().rejected == 100
    warnings = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert len(warnings) == 20
    place.write(HEADER + wrong + ROW + LICENCE, age_seconds=30)
    assert place.ids() == ["data", "licence"]
    assert [e for e in caplog.records if e.levelno == logging.WARNING] == warnings


def test_what_is_no_file_is_not_read(place: Place) -> None:
    """A pipe would hang, a folder has no rows."""
    os.mkfifo(place.path)
    assert place.ids() is None
    place.path.unlink()
    place.path.mkdir()
    assert place.ids() is None
