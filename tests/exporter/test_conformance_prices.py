"""Price sources keep their contract, and one that does not is found out."""

import itertools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from tests.collectors.prices.web import ok, web
from unitcost.collectors.price_contract import NotHere, PriceSourceError, SourceContext
from unitcost.collectors.price_sources import price_file, rate_card
from unitcost.exporter.conformance import Report, check_price_source
from unitcost.exporter.conformance import price_source as check
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import HostIdentity, PriceKey, Quote
from unitcost.pricing.resolve import Rank

HOST = HostIdentity("acme", "here", "", "big", PriceModel.ON_DEMAND)
AZURE = HostIdentity("azure", "uaenorth", "", "Standard_ND96isr_H100_v5", PriceModel.ON_DEMAND)
CSV = "provider,region,sku,model,per_hour,as_of\nacme,here,big,on_demand,1.5,2026-01-01\n"
CANARY = "CANARY7c0ffee1234"
Say = Callable[[HostIdentity, float], Any]


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`token_file`: a secret."""

    token_file: str = ""


def quote(**fields: Any) -> Quote:
    """A good one."""
    key = PriceKey("acme", "here", "big", PriceModel.ON_DEMAND)
    made = Quote(key, Decimal("1.5"), "acme's list", as_of_ns=10**18, known_at_ns=time.time_ns())
    return replace(made, **fields)


def well_behaved(identity: HostIdentity, deadline: float) -> Sequence[Quote]:
    """What a good source says."""
    if identity.provider != "acme":
        raise NotHere("no host of acme's")
    if time.monotonic() > deadline:
        raise PriceSourceError("no time was left")
    return [quote()] if identity.sku == "big" else []


class Source:
    """Says what it is told to."""

    name = "acme"
    rank = Rank.LIVE
    refresh_seconds = 3600.0

    def __init__(self, say: Say) -> None:
        self._say = say

    def quotes(self, identity: HostIdentity, deadline: float) -> Any:
        """What it says."""
        return self._say(identity, deadline)


def module(say: Say = well_behaved, **attributes: Any) -> Any:
    """A module of a third party."""

    def make_source(options: Options, context: SourceContext) -> Source:
        source = Source(say)
        for name, value in attributes.items():
            setattr(source, name, value)
        return source

    return SimpleNamespace(Options=Options, make_source=make_source, __name__="acme")


def rules(report: Report) -> set[str]:
    """The rules that do not hold."""
    return {each.rule for each in report.violations}


def test_a_good_one_conforms() -> None:
    """And says where it was asked of nothing."""
    report = check_price_source(module(), None, HOST, name="acme")
    assert (report.violations, report.notes) == ((), ())
    assert list(report.lines()) == ["price source acme: ok"]
    report = check_price_source(module())
    assert report.ok
    assert report.notes == ("it was asked of no host that it knows: give one",)
    together = module(quotes_of=lambda hosts, deadline: well_behaved(hosts[0], deadline))
    assert check_price_source(together, None, HOST).ok
    nothing = check_price_source(module(), None, replace(HOST, sku="small"))
    assert nothing.notes == ("it had no prices of this host: give one of which it has",)


def test_built_in_ones_conform(tmp_path: Path) -> None:
    """The card, a file, and a file at a URL."""
    assert check_price_source(rate_card, None, AZURE, name="rate_card").violations == ()
    (tmp_path / "p.csv").write_text(CSV)
    options = {"path": "p.csv"}
    report = check_price_source(price_file, options, HOST, name="price_file", folder=tmp_path)
    assert (report.violations, report.notes) == ((), ())
    with web(ok(CSV)) as server:
        (tmp_path / "token").write_text(CANARY)
        options = {"url": f"{server.url}/p.csv", "bearer_token_file": "token"}
        report = check_price_source(price_file, options, HOST, name="price_file", folder=tmp_path)
        assert report.violations == ()
        assert server.asked[0].headers["authorization"] == f"Bearer {CANARY}"
        server.answer = lambda asked: (401, asked.headers["authorization"].encode(), {})
        report = check_price_source(price_file, options, HOST, name="price_file", folder=tmp_path)
        assert report.violations == ()


def raises(error: BaseException) -> Say:
    """It fails like that, whoever is asked for."""

    def say(identity: HostIdentity, deadline: float) -> Any:
        raise error

    return say


def of_acme(say: Callable[[], Any]) -> Say:
    """It says so of its own host, and behaves otherwise."""

    def answer(identity: HostIdentity, deadline: float) -> Any:
        return say() if identity == HOST else well_behaved(identity, deadline)

    return answer


def without_time(identity: HostIdentity, deadline: float) -> Any:
    """It does not look at its deadline before it begins to wait."""
    if time.monotonic() > deadline:
        time.sleep(check.GRACE_SECONDS + 1)
    return well_behaved(identity, deadline)


def chained() -> Any:
    """An error whose cause says too much."""
    try:
        raise ValueError(f"Bearer {CANARY}")
    except ValueError as error:
        raise PriceSourceError("refused") from error


def logs(identity: HostIdentity, deadline: float) -> Any:
    """It logs what it sends."""
    logging.getLogger("acme").warning("sent %s", CANARY)
    return well_behaved(identity, deadline)


def everybody(identity: HostIdentity, deadline: float) -> Any:
    """It has the same price for whoever asks."""
    return [quote()]


def hangs(identity: HostIdentity, deadline: float) -> Any:
    """It never comes back."""
    threading.Event().wait()


def leaves_a_thread(identity: HostIdentity, deadline: float) -> Any:
    """A thread of its own goes on for a while."""
    threading.Thread(target=time.sleep, args=(1.5,), name="acme's", daemon=False).start()
    return well_behaved(identity, deadline)


COUNT = itertools.count()
WRONG: dict[str, tuple[set[str], Any]] = {
    "no quotes": ({"quotes"}, module(of_acme(lambda: [{"price": 1}]))),
    "quotes without end": ({"quotes"}, module(of_acme(lambda: itertools.repeat(quote())))),
    "a float": ({"raises"}, module(of_acme(lambda: [quote(per_hour=1.5)]))),
    "of another provider": (
        {"quotes.provider"},
        module(of_acme(lambda: [quote(key=replace(quote().key, provider="aws"))])),
    ),
    "stated never": ({"quotes.as_of"}, module(of_acme(lambda: [quote(as_of_ns=0)]))),
    "stated in the future": ({"quotes.as_of"}, module(of_acme(lambda: [quote(as_of_ns=2**62)]))),
    "learnt never": ({"quotes.known_at"}, module(of_acme(lambda: [quote(known_at_ns=0)]))),
    "called otherwise each time": (
        {"quotes.source"},
        module(of_acme(lambda: [quote(source=f"list {next(COUNT)}")])),
    ),
    "of every host": ({"not_here"}, module(everybody)),
    "an error of its own": ({"raises"}, module(raises(KeyError("price")))),
    "no Exception": ({"raises"}, module(raises(SystemExit(1)))),
    "an error of two lines": ({"error"}, module(raises(PriceSourceError("a\nb")))),
    "an error of many lines": ({"error"}, module(raises(PriceSourceError("a" * 999)))),
    "an error that says nothing": ({"error"}, module(raises(PriceSourceError()))),
    "late": ({"deadline"}, module(hangs)),
    "it waits without time": ({"deadline"}, module(without_time)),
    "a secret in an error": ({"secret"}, module(raises(PriceSourceError(f"{CANARY} refused")))),
    "a secret in a part": ({"secret"}, module(raises(PriceSourceError(CANARY[:13])))),
    "a secret behind an error": ({"secret"}, module(of_acme(chained))),
    "a secret in another error": ({"secret"}, module(raises(KeyError(CANARY)))),
    "a secret in a quote": ({"secret"}, module(of_acme(lambda: [quote(source=CANARY)]))),
    "a secret in the log": ({"secret"}, module(logs)),
    "a secret left out": ({"secret"}, module(dropped={CANARY: 1})),
    "a name of somebody else's": ({"shape"}, module(name="rate_card")),
    "the ledger's rank": ({"shape"}, module(rank=Rank.SNAPSHOT)),
    "too often": ({"refresh"}, module(refresh_seconds=1.0)),
    "a thread that runs on": ({"threads"}, module(leaves_a_thread)),
    "of several hosts otherwise": (
        {"quotes_of"},
        module(quotes_of=lambda hosts, deadline: [quote(per_hour=Decimal(9))]),
    ),
    "of several hosts never": ({"deadline"}, module(quotes_of=hangs)),
}


@pytest.mark.parametrize("name", WRONG)
def test_each_rule_is_looked_at(name: str, tmp_path: Path) -> None:
    """And nothing else is found in the same source; no report shows a secret."""
    expected, wrong = WRONG[name]
    (tmp_path / "token").write_text(f"{CANARY}\n")
    report = check_price_source(
        wrong, {"token_file": "token"}, HOST, name="acme", seconds=0.3, folder=tmp_path
    )
    assert rules(report) == expected
    assert CANARY[:12] not in "\n".join(report.lines())


def test_a_source_that_asks_for_hosts_of_others_is_found_out() -> None:
    """It works for its own, and fails for a host that is none of its."""

    def asks(identity: HostIdentity, deadline: float) -> Any:
        if identity != HOST:
            raise PriceSourceError("HTTP 404")
        return [quote()]

    assert rules(check_price_source(module(asks), None, HOST)) == {"not_here"}


def test_one_that_cannot_be_made_is_found_out() -> None:
    """By its options, by what it raises, by what it makes."""
    broken = module()
    broken.make_source = raises(SystemExit(2))
    assert rules(check_price_source(broken)) == {"make"}
    broken.make_source = lambda options, context: None
    assert rules(check_price_source(broken, name="acme")) == {"shape"}
    assert rules(check_price_source(SimpleNamespace())) == {"options"}
    assert rules(check_price_source(module(), {"token": "x"})) == {"options.decode"}


def test_names_of_keys_are_no_secrets(tmp_path: Path) -> None:
    """An error may say which one is missing; what stands beside it may not be shown."""
    (tmp_path / "token").write_text(f"[default]\naws_secret_access_key = {CANARY}\n")
    for text, found in (("aws_secret_access_key is missing", set()), (CANARY, {"secret"})):
        wrong = module(raises(PriceSourceError(text)))
        options = {"token_file": "token"}
        assert rules(check_price_source(wrong, options, HOST, folder=tmp_path)) == found
