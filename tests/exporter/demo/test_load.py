"""The demo's load follows its plan and counts what came back."""

import itertools
import threading
import time

from unitcost.exporter.demo.engine import Engine
from unitcost.exporter.demo.load import BAD_EVERY, WAVE, Load, arrivals, rate_at
from unitcost.exporter.demo.server import MAX_TOKENS, ModelServer
from unitcost.exporter.demo.transformer import Shape

SHAPE = Shape(layers=1, width=32, heads=2, hidden=64)


def test_the_same_seed_gives_the_same_requests_and_another_one_others() -> None:
    first, again, other = (list(itertools.islice(arrivals(s), 200)) for s in (1, 1, 2))
    assert first == again
    assert first != other


def test_arrivals_follow_the_wave() -> None:
    """Over 40 waves each phase gets about rate times length, and silence gets nothing."""
    length = sum(seconds for seconds, _ in WAVE)
    plan = list(itertools.takewhile(lambda a: a.at < 40 * length, arrivals(3)))
    assert [a.at for a in plan] == sorted(a.at for a in plan)
    start = 0.0
    for seconds, rate in WAVE:
        inside = sum(start <= a.at % length < start + seconds for a in plan)
        expected = 40 * seconds * rate
        assert abs(inside - expected) <= 5 * expected**0.5
        start += seconds
    assert rate_at(0.0) == WAVE[0][1] > 0


def test_requests_vary_and_every_so_many_is_one_the_server_refuses() -> None:
    plan = list(itertools.islice(arrivals(4), 250))
    bad = [a for a in plan if a.max_tokens > MAX_TOKENS]
    assert len(bad) == 250 // BAD_EVERY
    good = [a for a in plan if a.max_tokens <= MAX_TOKENS]
    assert all(len(a.prompt) + a.max_tokens <= Shape().context and a.prompt for a in good)
    assert len({len(a.prompt) for a in good}) > 50
    assert len({a.max_tokens for a in good}) > 50


def test_the_loads_own_count_equals_the_servers() -> None:
    server = ModelServer(0, Engine(SHAPE))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        load = Load(server.port, seed=7)
        load.start()
        deadline = time.monotonic() + 60
        while load.truth.failed < 1 and time.monotonic() < deadline:
            time.sleep(0.05)
        load.stop(30)
        truth = load.truth
        text = server.engine.counters.exposition().decode()
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
    assert truth.failed >= 1
    assert truth.unanswered == 0
    for line in (
        f'demo_requests_total{{outcome="succeeded"}} {float(truth.succeeded)}',
        f'demo_requests_total{{outcome="failed"}} {float(truth.failed)}',
        f"demo_prompt_tokens_total {float(truth.prompt_tokens)}",
        f"demo_generated_tokens_total {float(truth.output_tokens)}",
    ):
        assert line in text.splitlines()


def test_a_server_that_is_not_there_is_counted_and_ends_nothing() -> None:
    import socket

    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, but nobody listens
        load = Load(held.getsockname()[1])
        load.start()
        deadline = time.monotonic() + 60
        while load.truth.unanswered < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        load.stop(10)
    assert load.truth.unanswered >= 3
    assert load.truth.succeeded == 0
    assert not [t for t in load._threads if t.is_alive()]


def test_stopping_before_the_start_is_no_error() -> None:
    load = Load(1)
    load.stop(0.1)
    assert load.truth.succeeded == 0
