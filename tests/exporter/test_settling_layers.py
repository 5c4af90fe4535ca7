"""Settling where several layers count the same requests, and models share a server."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sites import CHAT, Site, rules
from tests.worlds import Server
from unitcost.pricing.sample import Layer, Outcome, Phase, Quantity, TokenType

REQUEST = "unitcost_request_cost_usd"
REQUESTS = Quantity.REQUESTS
RATIO = "unitcost_layer_disagreement_ratio"


def site_with_gateway() -> tuple[Site, Server, Server]:
    """An engine and the gateway in front of it, both counted for one workload."""
    site = Site(rules(workloads=(CHAT,)))
    engine = site.host.serve("chat", 8000, cores=1.0, gibs=2.0)
    gateway = site.host.gateway("chat", 4000)
    engine.add(Quantity.PHASE_SECONDS, 0, Phase.DECODE)
    for each in (engine, gateway):
        each.work(0)
        each.add(Quantity.TOKENS, 0, TokenType.OUTPUT)
    site.settle()
    return site, engine, gateway


def serve(*layers: Server, tokens: int = 10, model: str = "m") -> None:
    """One request that all of these count."""
    for each in layers:
        each.work(1, model)
        each.add(Quantity.TOKENS, tokens, TokenType.OUTPUT, model)


def test_what_two_layers_count_is_billed_once() -> None:
    """By the outer one; they agree."""
    site, engine, gateway = site_with_gateway()
    for _ in range(4):
        serve(engine, gateway)
        engine.add(Quantity.PHASE_SECONDS, 2, Phase.DECODE)
        site.tick()
    assert site.units("chat") == 4
    assert site.units("chat", "unitcost_tokens_total") == 40
    assert site.units("chat", "unitcost_phase_seconds_total") == 8
    assert site.point(RATIO, "chat", "engine", "requests") == 0
    assert site.point(RATIO, "chat", "engine", "tokens") == 0
    assert site.point("unitcost_billed_layer_info", "chat", "gateway", "tokens") == 1
    assert site.point("unitcost_billed_layer_info", "chat", "engine", "phase_seconds") == 1


def test_layers_that_do_not_agree_are_told() -> None:
    """Somebody asks the engine directly, past the gateway."""
    site, engine, gateway = site_with_gateway()
    for _ in range(4):
        serve(engine, gateway)
        site.tick()
    serve(engine)
    site.tick()
    assert site.units("chat") == 4
    assert site.point(RATIO, "chat", "engine", "requests") == pytest.approx(0.25)
    site.tick(80)
    assert site.point(RATIO, "chat", "engine", "requests") is None


def test_a_gateway_that_is_away_is_not_stood_in_for() -> None:
    """When it is back its count covers the time, which must not be billed twice."""
    site, engine, gateway = site_with_gateway()
    serve(engine, gateway)
    site.tick()
    gateway.up = False
    for _ in range(3):
        serve(engine, gateway)
        site.tick()
    assert site.units("chat") == 1
    gateway.up = True
    site.tick()
    assert site.units("chat") == 4


def test_a_restart_of_the_exporter_changes_nothing_of_that() -> None:
    """Even if the gateway does not answer when it comes back."""
    site, engine, gateway = site_with_gateway()
    serve(engine, gateway)
    site.tick()
    gateway.up = False
    serve(engine, gateway)
    site.restart()
    site.tick(2)
    assert site.units("chat") == 1
    gateway.up = True
    site.tick()
    assert site.units("chat") == 2


def test_a_gateway_that_comes_later_takes_over_without_a_jump() -> None:
    """Its history was the engine's, and is billed already."""
    site = Site(rules(workloads=(CHAT,)))
    engine = site.host.serve("chat", 8000, cores=1.0)
    engine.work(0)
    site.settle()
    serve(engine)
    site.tick()
    gateway = site.host.gateway("chat", 4000)
    gateway.says_birth = False
    gateway.work(500)
    site.tick()
    assert site.units("chat") == 1
    serve(engine, gateway)
    site.tick()
    assert site.units("chat") == 2
    del site.host.servers[4000]
    serve(engine)
    site.tick()
    assert site.units("chat") == 3


def test_a_gateway_that_is_named_again_is_not_billed_for_what_its_engine_was_meanwhile() -> None:
    """It was taken out of the configuration, or discovery lost sight of it."""
    for restarts in (False, True):
        site, engine, gateway = site_with_gateway()
        serve(engine, gateway)
        site.tick()
        del site.host.servers[4000]
        serve(engine, gateway)
        site.tick(2)
        assert site.units("chat") == 2
        if restarts:
            gateway.born_wall_ns = site.host.clock.wall_ns
        serve(engine, gateway)
        site.tick()
        site.host.servers[4000] = gateway
        site.tick()
        assert site.units("chat") == 3
        serve(engine, gateway)
        site.tick()
        assert site.units("chat") == 4


def test_layers_that_are_found_again_together_lose_nothing() -> None:
    """A restart of the exporter, whose discovery takes a moment."""
    site, engine, gateway = site_with_gateway()
    serve(engine, gateway)
    site.tick()
    servers = dict(site.host.servers)
    site.host.servers.clear()
    serve(engine, gateway)
    engine.add(Quantity.PHASE_SECONDS, 2, Phase.DECODE)
    site.restart()
    site.tick()
    site.host.servers.update(servers)
    site.tick()
    assert site.units("chat") == 2
    assert site.units("chat", "unitcost_phase_seconds_total") == 2


def test_a_gateway_that_starts_anew_without_a_series_is_not_stood_in_for() -> None:
    """Its first answers come a little after its engine's: they are billed once, under one name."""
    site, engine, gateway = site_with_gateway()
    serve(engine, model="llama")
    serve(gateway)
    site.tick()
    gateway.counters.clear()
    gateway.born_wall_ns = site.host.clock.wall_ns
    site.tick()
    serve(engine, model="llama")
    site.tick()
    serve(gateway)
    site.tick()
    assert site.units("chat") == 2
    assert site.units("chat", "unitcost_tokens_total") == 20
    models = {labels[1] for labels, value in site.points()["unitcost_tokens_total"] if value}
    assert models == {"m"}


def test_a_gateway_that_serves_and_does_not_count_tokens_any_more_claims_them_no_more() -> None:
    """Its next version does not; else they were nobody's for ever."""
    site, engine, gateway = site_with_gateway()
    serve(engine, gateway)
    site.tick()
    gateway.counters = {key: n for key, n in gateway.counters.items() if key[0] is REQUESTS}
    site.tick()
    gateway.work(1)
    serve(engine)
    site.tick()
    assert site.units("chat", "unitcost_tokens_total") == 20


def test_a_model_that_took_another_s_place_on_the_engine_is_known_by_the_gateway_s_name() -> None:
    """What the engine had before is on its page no more."""
    site, engine, gateway = site_with_gateway()
    for name in ("llama-3.1", "llama-3.3"):
        engine.counters.clear()
        engine.born_wall_ns = site.host.clock.wall_ns
        serve(engine, model=name)
        engine.add(Quantity.PHASE_SECONDS, 2, Phase.DECODE, name)
        serve(gateway, model="m")
        site.tick()
    assert site.counter("unitcost_phase_seconds_total", "chat", "m", "decode") == 4 * 10**6


def test_a_gateway_s_adapters_share_their_engine_by_tokens() -> None:
    """The engine knows the base model only; its cost goes to the adapters whole."""
    site, engine, gateway = site_with_gateway()
    gateway.counters.clear()
    for _ in range(5):
        serve(gateway, tokens=30, model="fr")
        serve(gateway, tokens=10, model="de")
        engine.add(Quantity.PHASE_SECONDS, 3, Phase.DECODE)
        site.tick()
    last = site.tick()
    whole = site.usd("chat", last)
    assert whole > 0
    french = site.usd("chat", last, model="fr")
    assert french + site.usd("chat", last, model="de") == whole
    assert float(french / whole) == pytest.approx(0.75)
    assert site.point("unitcost_model_split_info", "chat", "tokens") == 1


def test_models_are_split_by_compute_seconds_where_they_are_known() -> None:
    """A model that makes few tokens slowly costs what it takes."""
    site = Site(rules(workloads=(CHAT,)))
    server = site.host.serve("chat", 8000, cores=1.0)
    site.settle()
    for model, seconds, tokens in (("big", 3, 10), ("small", 1, 90)):
        server.work(1, model)
        server.add(Quantity.PHASE_SECONDS, seconds, Phase.DECODE, model)
        server.add(Quantity.TOKENS, tokens, TokenType.OUTPUT, model)
    last = site.tick()
    big, small = (site.usd("chat", last, model=name) for name in ("big", "small"))
    assert float(big / (big + small)) == pytest.approx(0.75)
    assert site.point("unitcost_model_split_info", "chat", "phase_seconds") == 1


def test_engines_of_one_server_are_added_up() -> None:
    """Two frontends behind one gateway, on two ports."""
    site, engine, gateway = site_with_gateway()
    other = site.host.serve("chat", 8001, cores=1.0)
    other.work(0)
    site.tick()
    serve(engine, gateway)
    serve(other, gateway)
    site.tick()
    assert site.units("chat") == 2
    assert site.point(RATIO, "chat", "engine", "requests") == 0


def test_failures_at_the_gateway_are_no_disagreement() -> None:
    """They never reach the engine."""
    site, engine, gateway = site_with_gateway()
    gateway.add(Quantity.REQUESTS, 0, Outcome.FAILED)
    site.tick()
    serve(engine, gateway)
    gateway.add(Quantity.REQUESTS, 7, Outcome.FAILED)
    site.tick()
    assert site.counter("unitcost_requests_total", "chat", "m", "failed") == 7 * 10**6
    assert site.point(RATIO, "chat", "engine", "requests") == 0


def test_layers_of_different_workloads_are_not_mixed() -> None:
    """A gateway of another workload bills nothing here."""
    site, engine, _ = site_with_gateway()
    site.host.servers.pop(4000)
    other = site.host.gateway("search", 4001, Layer.FRONTEND)
    other.work(0)
    site.tick()
    serve(engine)
    other.work(5)
    site.tick()
    assert site.units("chat") == 1
    assert site.units("search") == 5


@given(st.lists(st.tuples(st.sampled_from("sdawrx"), st.integers(1, 20)), max_size=20))
@settings(deadline=None)
def test_whatever_comes_and_goes_the_gateway_s_requests_are_billed_once(
    history: list[tuple[str, int]],
) -> None:
    """Served, asked directly, away, back, restarted; and the exporter restarted in between."""
    site, engine, gateway = site_with_gateway()
    truth = 0
    for what, number in history:
        if what == "s":
            serve(engine, gateway, tokens=number)
            truth += 1
        elif what == "d":
            serve(engine, tokens=number)
        elif what in "aw":
            gateway.up = what == "w"
        elif what == "r" and gateway.up:
            site.tick()
            gateway.counters = dict.fromkeys(gateway.counters, 0)
            gateway.born_wall_ns = site.host.clock.wall_ns
        else:
            site.tick()
            site.restart()
        site.tick()
    gateway.up = True
    site.tick(2)
    assert site.units("chat") == truth
    assert site.usd("chat") > 0


def test_a_model_with_long_requests_pays_for_all_their_seconds() -> None:
    """Their work is counted when they end; in between it is others' short ones that do."""
    site = Site(rules(workloads=(CHAT,)))
    server = site.host.serve("chat", 8000, cores=1.0)
    server.running = True
    for model in ("long", "short"):
        server.work(0, model)
    site.settle()
    for tick in range(1, 721):
        server.work(1, "short")
        server.add(Quantity.PHASE_SECONDS, 2, Phase.DECODE, "short")
        if tick % 12 == 0:
            server.work(1, "long")
            server.add(Quantity.PHASE_SECONDS, 60, Phase.DECODE, "long")
        site.tick()
    paid = {model: float(site.usd("chat", model=model)) for model in ("long", "short")}
    assert paid["long"] / (paid["long"] + paid["short"]) == pytest.approx(60 / 84, rel=0.03)
