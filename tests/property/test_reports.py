"""Reports on what the real settling wrote, by anything: every dollar once, every unit once."""

import csv
import tempfile
from decimal import Decimal
from io import StringIO
from pathlib import Path
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gpu_story import GpuStory
from tests.gpu_world import GpuHost
from tests.lately import site_at
from tests.property.test_settle import BOOKS, CALM, STEPPED, Prices, rules_of, steps
from tests.property.test_settle_late import STEPS, USD, Oracle, tell
from tests.property.test_settle_late import Step as LateStep
from tests.reports import NOTHING, written
from tests.sites import MemoryLedger, Site
from tests.story import Step, Story
from unitcost.exporter.report import command
from unitcost.exporter.report.build import Report
from unitcost.exporter.report.formats import csv_text
from unitcost.exporter.report.ledger_rows import NOT_OF_UNITS
from unitcost.exporter.report.question import Dimension, Question
from unitcost.exporter.report.table import rounded
from unitcost.pricing.money import PICO, round_half_even, to_pico
from unitcost.pricing.unit_cost import Basis

ZONES = st.sampled_from([ZoneInfo(name) for name in ("UTC", "Asia/Kolkata", "Pacific/Apia")])
PLAIN = [each for each in Dimension if each is not Dimension.EPOCH]
GROUPINGS = st.lists(st.sampled_from(PLAIN), min_size=1, max_size=4, unique=True)
EPOCHS = (Dimension.RUN, Dimension.EPOCH)
EXAMPLES = max(4, settings().max_examples // 40)
"""Of each kind of history: a report is made of it several times."""


@st.composite
def questions(draw: st.DrawFn) -> list[Question]:
    """By anything, in any zone."""
    found = []
    for by in draw(st.lists(GROUPINGS, min_size=1, max_size=2)):
        used = draw(st.booleans()) and Dimension.STATE not in by
        basis = Basis.USED if used else Basis.ALLOCATED
        found.append(Question(tuple(by), draw(ZONES), basis=basis))
    return [*found, Question(EPOCHS, draw(ZONES))]


def check(memory: MemoryLedger, asked: list[Question]) -> None:
    """All that must hold of each report, and of half of its workloads."""
    with tempfile.TemporaryDirectory() as folder:
        path = written(memory, Path(folder) / "ledger.db")
        for question in asked:
            check_report(memory, command.make(path, question, NOTHING))
        names = sorted({key.account.workload for key in memory.posting.charges})[::2]
        some = Question((Dimension.DAY,), asked[0].zone, workloads=frozenset(names))
        check_report(memory, command.make(path, some, NOTHING), names)


def check_report(memory: MemoryLedger, report: Report, names: list[str] | None = None) -> None:
    """The rows are the accruals, to the pico-dollar, however they are written down."""
    accrued = sum(row.pico or 0 for row in memory.posting.accruals.values())
    assert report.accrued == accrued
    assert report.missing == 0
    charged = sum(
        amount.pico or 0
        for key, amount in memory.posting.charges.items()
        if names is None or key.account.workload in names
    )
    assert report.total == charged
    assert len({row.key for row in report.rows}) == len(report.rows)
    table = list(csv.DictReader(StringIO(csv_text(report))))
    assert sum(to_pico(Decimal(row["cost_usd"] or 0)) for row in table) == charged
    check_rounding(report)
    if names is None:
        check_unpriced(memory, report, table)
        check_units(memory, report)


def check_rounding(report: Report) -> None:
    """Cents as printed sum to the printed sum, and none is a cent off."""
    exact = [row.pico for row in report.rows]
    cents = rounded(exact, 2)
    assert sum(each or 0 for each in cents) == round_half_even(report.total, PICO // 100)
    for pico, cent in zip(exact, cents, strict=True):
        assert (pico is None) == (cent is None)
        assert abs((cent or 0) * PICO // 100 - (pico or 0)) < PICO // 100


def check_unpriced(memory: MemoryLedger, report: Report, table: list[dict[str, str]]) -> None:
    """What has no price is in hours, and never in dollars."""
    lacking = sum(a.quantity for a in memory.posting.charges.values() if a.pico is None)
    assert sum(sum(row.unpriced.values()) for row in report.rows) == lacking
    priced = any(amount.pico is not None for amount in memory.posting.charges.values())
    assert any(row["cost_usd"] for row in table) == priced


def check_units(memory: MemoryLedger, report: Report) -> None:
    """All units of workloads, or none where they cannot be told apart like that."""
    told = sum(sum(row.units.micro.values()) for row in report.rows if row.units)
    apart = NOT_OF_UNITS & set(report.question.by)
    assert told == (0 if apart else sum(memory.units.values()))
    for row in report.rows:
        assert not row.unit_usd or (row.units is not None and not row.key.charge_class)


@settings(max_examples=EXAMPLES)
@given(steps(*STEPPED), BOOKS, questions())
def test_a_host(history: list[Step], book: Prices, asked: list[Question]) -> None:
    """Servers and jobs, gaps, crashes, set clocks, with a price and without."""
    site = Site(rules_of(book))
    Story(site, births=False).tell(history)
    check(site.ledger, asked)


@settings(max_examples=EXAMPLES)
@given(steps(*CALM, "pod", "unpod", "compute", "driver"), BOOKS, questions())
def test_a_host_with_gpus(history: list[Step], book: Prices, asked: list[Question]) -> None:
    """Three of them, held by pods that come and go."""
    site = Site(rules_of(book), GpuHost(3))
    GpuStory(site).tell(history)
    check(site.ledger, asked)


@settings(max_examples=EXAMPLES)
@given(STEPS, USD, questions())
def test_prices_learnt_late(
    history: list[LateStep], usd: str | None, asked: list[Question]
) -> None:
    """Corrections are rows of their own; unpriced hours that got a price are unpriced no more."""
    site = site_at(usd)
    oracle = Oracle(site)
    oracle.base = usd
    for step in history:
        tell(oracle, step)
    check(site.ledger, asked)
