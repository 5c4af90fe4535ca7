"""docs/prices.md names every option of every price source, and no other."""

import re
from pathlib import Path

import msgspec
import pytest

import unitcost.collectors.price_sources
from unitcost.collectors.base import discover
from unitcost.collectors.price_contract import SourceContext

PAGE = Path(__file__).parents[3] / "docs" / "prices.md"
FOUND = {
    each.name: each.module
    for each in discover(unitcost.collectors.price_sources, "make_source")
    if each.module is not None
}
LIVE = sorted(name for name in FOUND if name != "rate_card")


def section(name: str) -> str:
    """The part of the page on one source."""
    parts = re.split(r"^##+ ", PAGE.read_text(), flags=re.MULTILINE)
    (own,) = [part for part in parts if part.startswith(f"`{name}`")]
    return own


@pytest.mark.parametrize("name", LIVE)
def test_every_option_is_in_the_table(name: str) -> None:
    """The last table of a section is of its options."""
    table = section(name).rpartition("| key | default | |")[2]
    named = {
        option
        for line in table.splitlines()
        if line.startswith("| `")
        for option in re.findall(r"`(\w+)`", line.split("|")[1])
    }
    assert named == set(FOUND[name].Options.__struct_fields__)


@pytest.mark.parametrize("name", sorted(FOUND))
def test_a_source_can_be_made_without_options(name: str, tmp_path: Path) -> None:
    """As the contract says: all have defaults, unknown ones are refused, names are the files'."""
    module = FOUND[name]
    options = getattr(module, "Options", None)
    if options is None:
        return
    source = module.make_source(options(), SourceContext(tmp_path, lambda: 0))
    assert source.name == name
    assert source.refresh_seconds > 0
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"no_such_option": 1}, options)


def test_every_live_source_is_described() -> None:
    """By a section of its own."""
    assert len(LIVE) >= 6
    for name in LIVE:
        assert section(name)
