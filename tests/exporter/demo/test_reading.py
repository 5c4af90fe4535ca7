"""The demo's table shows what `/metrics` says, and nothing that it does not say."""

import io
from decimal import Decimal

import pytest
from rich.console import Console

from unitcost.exporter.demo.load import Truth
from unitcost.exporter.demo.reading import Rates, as_json, parse
from unitcost.exporter.demo.table import View, count, money, render, short, waiting_for

GIB = 2**30


def exposition(hours: float = 1.0, *, priced: bool = True, off_by: float = 0.0) -> str:
    """A host of 4 GiB at $1 an hour: CPU 0.75, memory 0.25; half of all is unallocated."""
    lines = [
        f"unitcost_host_memory_total_bytes {4 * GIB}",
        f'unitcost_held_seconds_total{{workload="demo-server",resource="memory",state="idle"}} '
        f"{hours * 3600}",
        f'unitcost_held_seconds_total{{workload="__unallocated__",resource="memory",state="idle"}}'
        f" {hours * 3600 * 3}",
        'unitcost_held_seconds_total{workload="demo-server",resource="cpu",state="idle"} 7',
    ]
    shares = {
        ("__unallocated__", "other", "cpu", "idle"): 0.4,
        ("__unallocated__", "other", "memory", "idle"): 0.1,
        ("__system__", "other", "cpu", "active"): 0.05,
        ("demo-train", "training", "cpu", "active"): 0.1,
        ("demo-server", "inference", "cpu", "active"): 0.125,
        ("demo-server", "inference", "cpu", "idle"): 0.075,
        ("demo-server", "inference", "memory", "idle"): 0.15,
    }
    for (workload, kind, resource, state), share in shares.items():
        lines.append(
            f'unitcost_cost_usd_total{{workload="{workload}",kind="{kind}",model="",'
            f'resource="{resource}",state="{state}"}} {share * hours}'
        )
    for resource, price in (("cpu", 0.75), ("memory", 0.25)):
        lines.append(f'unitcost_price_usd_per_hour{{resource="{resource}",sku=""}} {price}')
        lines.append(
            f'unitcost_resource_cost_usd_total{{resource="{resource}",component="rent"}} '
            f"{price * hours + off_by}"
        )
    if priced:
        labels = 'workload="demo-server",model="m"'
        lines += [
            f'unitcost_request_cost_usd{{{labels},basis="allocated"}} 0.002',
            f'unitcost_request_cost_usd{{{labels},basis="used"}} 0.001',
            f'unitcost_token_cost_usd{{{labels},type="input",basis="allocated"}} 0.000001',
            f'unitcost_token_cost_usd{{{labels},type="output",basis="allocated"}} 0.00002',
            f'unitcost_requests_total{{{labels},outcome="succeeded"}} 175',
            f'unitcost_requests_total{{{labels},outcome="failed"}} 3',
            f'unitcost_tokens_total{{{labels},type="input"}} 1000',
            f'unitcost_tokens_total{{{labels},type="output"}} 234',
            'unitcost_epoch_cost_usd{workload="demo-train",model="",basis="allocated"} 0.0003',
            'unitcost_epochs_total{workload="demo-train",model=""} 4',
        ]
    return "\n".join(lines) + "\n"


def text_of(view: View, width: int = 100) -> str:
    """What the screen shows, without colours."""
    console = Console(file=io.StringIO(), width=width)
    console.print(render(view))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_each_workload_is_a_row_with_its_units_and_the_reserved_ones_come_last() -> None:
    reading = parse(exposition())
    names = [row.workload for row in reading.rows]
    assert names == ["demo-server", "demo-train", "__system__", "__unallocated__"]
    server, train = reading.row("demo-server"), reading.row("demo-train")
    assert server.usd_per_request == 0.002
    assert server.usd_per_1k_input_tokens == pytest.approx(0.001)
    assert server.usd_per_1k_output_tokens == pytest.approx(0.02)
    assert server.requests == {"succeeded": 175, "failed": 3}
    assert server.tokens == {"input": 1000, "output": 234}
    assert server.kind == "inference"
    assert server.usd == pytest.approx({"active": 0.125, "idle": 0.225})
    assert (train.usd_per_epoch, train.epochs) == (0.0003, 4)
    assert train.usd_per_request is None
    assert reading.price_usd_per_hour == pytest.approx(1.0)
    assert reading.metered_seconds == pytest.approx(3600)
    assert reading.sums_equal


def test_sums_that_differ_are_said_to_differ() -> None:
    reading = parse(exposition(off_by=0.000001))
    assert not reading.sums_equal
    assert "NOT EQUAL" in text_of(View(Decimal(1), "u", 1.0, reading))
    assert "every dollar once" in text_of(View(Decimal(1), "u", 1.0, parse(exposition())))


def test_nothing_on_the_page_is_unknown_and_not_zero() -> None:
    reading = parse("")
    assert reading.rows == ()
    assert reading.workloads_usd is reading.resources_usd is reading.metered_seconds is None
    assert not reading.sums_equal
    assert reading.row("demo-server").usd_per_request is None
    assert "nothing is priced yet" in text_of(View(Decimal(1), "u", 1.0, reading))


def test_a_page_that_is_no_exposition_is_refused() -> None:
    with pytest.raises(ValueError, match=r"."):
        parse("<html>not { metrics")


def test_rates_are_dollars_over_metered_time_and_add_up_to_the_price() -> None:
    rates = Rates()
    first = rates.add(parse(exposition(1.0)))
    assert all(not row.usd_per_hour for row in first.rows)
    later = rates.add(parse(exposition(1.0 + 20 / 3600)))
    server = later.row("demo-server").usd_per_hour
    assert server == pytest.approx({"active": 0.125, "idle": 0.225})
    total = sum(sum(row.usd_per_hour.values()) for row in later.rows)
    assert total == pytest.approx(1.0)


def test_rates_stand_while_the_exporter_has_no_newer_totals() -> None:
    rates = Rates()
    rates.add(parse(exposition(1.0)))
    later = rates.add(parse(exposition(1.001)))
    again = rates.add(parse(exposition(1.001)))
    assert again.rows == later.rows


def test_rates_look_back_about_half_a_minute_and_no_further() -> None:
    rates = Rates()
    for second in range(0, 100, 2):
        rates.add(parse(exposition(second / 3600)))
    seconds = [reading.metered_seconds or 0 for reading in rates._past]
    assert 28 <= seconds[-1] - seconds[0] <= 34


def test_the_screen_says_the_assumed_price_and_what_it_waits_for() -> None:
    early = text_of(View(Decimal("2.5"), "http://x/metrics", 3.0))
    assert "assumed price: $2.5 an hour" in early
    assert "--usd-per-hour" in early
    assert "http://x/ (/metrics for Prometheus)" in early
    assert "waiting for the exporter's first reading" in early
    assert "first priced request" in waiting_for(parse(exposition(priced=False)))
    assert "first epoch" in waiting_for(parse(exposition(priced=False)))
    assert waiting_for(parse(exposition())) == ""


def test_the_screen_puts_the_clients_count_beside_the_exporters() -> None:
    truth = Truth(
        succeeded=175, failed=3, prompt_tokens=1000, output_tokens=234, last_text="a\nb" * 99
    )
    shown = text_of(View(Decimal(1), "u", 65.0, parse(exposition()), truth))
    assert "counted by the clients 175 answered, 3 refused, 1,000 + 234 tokens" in shown
    assert "by the exporter 175 answered, 3 refused, 1,000 + 234 tokens" in shown
    assert "last answer: a.ba.b" in shown
    assert max(len(line) for line in shown.splitlines()) <= 100


def test_the_screen_fits_80_columns() -> None:
    rates = Rates()
    rates.add(parse(exposition(1.0)))
    reading = rates.add(parse(exposition(1.01)))
    shown = text_of(View(Decimal(1), "http://127.0.0.1:9841/metrics", 1.0, reading), 80)
    assert "…" not in shown
    cells = ("demo-server", "0.00100", "0.0200", "0.000300", "175 requests", "4 epochs", "1.23k")
    for cell in (*cells, "__system__"):
        assert cell in shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (0.0, "0"),
        (1.0, "1.00"),
        (12.3456, "12.35"),
        (1234.5, "1234.50"),
        (0.5, "0.500"),
        (0.0123456, "0.0123"),
        (0.000012345678, "0.0000123"),
        (1e-12, "0.000000000001"),
    ],
)
def test_money_has_three_digits_and_no_exponent(value: float | None, shown: str) -> None:
    assert money(value) == shown


def test_large_counts_are_short() -> None:
    assert [short(v) for v in (None, 0, 999, 1234, 4_560_000, 7.8e9)] == [
        "-", "0", "999", "1.23k", "4.56M", "7.8G",
    ]  # fmt: skip


def test_counts_are_whole_and_unknown_is_a_dash() -> None:
    assert [count(v) for v in (None, 0.0, 1234567.0, 0.5)] == ["-", "0", "1,234,567", "0.5"]


def test_the_summary_is_plain_data() -> None:
    import json

    data = json.loads(json.dumps(as_json(parse(exposition()))))
    assert data["sums_equal"] is True
    assert data["rows"][0]["workload"] == "demo-server"
    assert data["rows"][0]["usd_per_request"] == 0.002
