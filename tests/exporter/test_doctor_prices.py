"""What `unitcost doctor` says of prices: what the host is, who priced it, how old that is."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import unitcost.collectors.identity.metadata as metadata
from tests.collectors.fake_apiserver import (
    NODE,
    FakeApiServer,
    fake_apiserver,
    make_certificate,
    service_account,
)
from tests.collectors.identity.fake_metadata import fake_metadata, shape
from tests.exporter.test_doctor_devices import told
from unitcost.collectors import kubernetes
from unitcost.collectors.identity.metadata import Place
from unitcost.collectors.price_contract import NotHere, PriceSourceError
from unitcost.exporter.config.load import loads
from unitcost.exporter.doctor.ask import Scene
from unitcost.exporter.doctor.prices import GET_NODES, lookup_findings, price_findings
from unitcost.exporter.prices.lookup import PriceLookup
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import HostIdentity, PriceKey, Quote
from unitcost.pricing.resolve import Rank

DAY = 24 * 3600 * 10**9
NOW = 20_000 * DAY
SAID = tuple(
    (name, "metadata") for name in ("provider", "region", "zone", "sku", "model", "instance_id")
)
HOST = HostIdentity(
    "aws", "us-east-1", "us-east-1a", "p5.48xlarge", PriceModel.ON_DEMAND, said_by=SAID
)
KEY = PriceKey("aws", "us-east-1", "p5.48xlarge", PriceModel.ON_DEMAND)
IS = "ok: aws us-east-1 us-east-1a p5.48xlarge on_demand (by the metadata service of aws)"
UNPRICED = "rent is unpriced: its cost is unknown, not 0"
ADDRESSES = dict.fromkeys(Place, ("127.0.0.1", 9))


def quote(days_old: int = 0, usd: str = "55.04") -> Quote:
    """A price of exactly this host."""
    return Quote(KEY, Decimal(usd), "a list", NOW - 500 * DAY, as_of_ns=NOW - days_old * DAY)


@dataclass
class Source:
    """A source that says what it is told to, or raises it, once it may."""

    name: str
    rank: Rank
    says: Sequence[Quote] | Exception = ()
    refresh_seconds: float = 3600.0
    patience_seconds: float = 0.5
    may: threading.Event = field(default_factory=threading.Event)
    asked: int = 0

    def __post_init__(self) -> None:
        self.may.set()

    def quotes(self, identity: HostIdentity, deadline: float) -> Sequence[Quote]:
        """What it says."""
        self.asked += 1
        self.may.wait()
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


def said(
    *sources: Source, host: HostIdentity = HOST, notes: tuple[str, ...] = (), seconds: float = 30
) -> list[str]:
    """What the doctor says of such a lookup."""
    lookup = PriceLookup(lambda: (host, notes), sources, lambda: NOW)
    looked, late = lookup.ask_within(seconds)
    return told(lookup_findings(looked, late, NOW))


def test_a_live_price_is_told_with_its_day_and_age() -> None:
    """And what this host is, by which metadata service."""
    host, answer, price = said(Source("live", Rank.LIVE, [quote(3)]))
    assert host == IS
    assert answer == "ok: live (live source) answered: 1 quotes"
    assert price == (
        "ok: 55.04 USD an hour, on_demand, from 2023-05-23; by a list (live source), "
        "as of 2024-10-01, 3 days ago"
    )


def test_a_price_of_the_built_in_card_is_stale_whatever_its_day() -> None:
    """The mend is a live source; what failed is told."""
    failing = Source("live", Rank.LIVE, PriceSourceError("HTTP 500"))
    host, failed, card, price = said(failing, Source("card", Rank.RATE_CARD, [quote(3)]))
    assert host == IS
    assert failed == "warn: live failed: HTTP 500"
    assert card.startswith("ok: card (built-in rate card) answered")
    assert price.startswith("warn: stale: 55.04 USD an hour")
    assert price.endswith("switch a live source on under price.lookup.sources (docs/prices.md)")


@pytest.mark.parametrize(("days", "status"), [(90, "ok: 55.04"), (91, "warn: stale: 55.04")])
def test_a_price_that_nobody_stated_again_is_stale(days: int, status: str) -> None:
    """After so many days, such as those of a file that was forgotten."""
    price = said(Source("file", Rank.OVERRIDE, [quote(days)]))[-1]
    assert price.startswith(status)
    assert f", {days} days ago" in price


def test_a_price_of_no_day_has_no_age() -> None:
    """Nobody said when it was stated."""
    price = said(Source("file", Rank.OVERRIDE, [replace(quote(), as_of_ns=0)]))[-1]
    assert price.startswith("ok: 55.04")
    assert price.endswith("as of always")


def test_a_host_without_a_price_is_unpriced() -> None:
    """Because no source has one; those that know no such hosts are not told of."""
    host, answer, price = said(Source("live", Rank.LIVE, []), Source("other", Rank.LIVE, NotHere()))
    assert (host, answer) == (IS, "ok: live (live source) answered: 0 quotes")
    assert price == (
        "warn: unpriced: no source has a price for exactly this host; its cost is unknown, not 0; "
        "see docs/prices.md"
    )


def test_a_host_that_does_not_know_what_it_is_says_what_is_missing() -> None:
    """Nothing is asked then that would need it."""
    source = Source("live", Rank.LIVE, [quote()])
    lines = said(source, host=HostIdentity())
    missing = "provider, region, instance type, price model"
    assert lines[0] == f"warn: not known: {missing}; state it under price.lookup.instance"
    assert lines[1].startswith("warn: unpriced: it is not known what this host is;")
    assert (len(lines), source.asked) == (2, 0)
    lines = said(source, host=replace(HOST, model=None))
    assert lines[0] == (
        "warn: not known of aws us-east-1 us-east-1a p5.48xlarge (by the metadata service of aws): "
        "price model; state it under price.lookup.instance"
    )


def test_slow_sources_are_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    """One that says it takes long is not asked; one that hangs is left behind, quietly."""
    long = Source("long", Rank.LIVE, [quote()], patience_seconds=600)
    hung = Source("hung", Rank.LIVE, PriceSourceError("too late"))
    hung.may.clear()
    try:
        lines = said(long, hung, seconds=0.6)
    finally:
        hung.may.set()
    assert lines[1].startswith("ok: long takes longer than 10 s and was not waited for")
    assert lines[2].startswith("ok: hung takes longer")
    assert "no source that answered has a price, and long, hung did not yet" in lines[3]
    assert (long.asked, hung.asked) == (0, 1)
    assert caplog.record_tuples == []


def test_a_lookup_that_runs_still_says_what_failed(caplog: pytest.LogCaptureFixture) -> None:
    """Only one that is asked for a report is quiet."""
    lookup = PriceLookup(lambda: (HOST, ()), [Source("live", Rank.LIVE, PriceSourceError("x"))])
    lookup.identify()
    with caplog.at_level(logging.WARNING):
        lookup.refresh("live")
    assert [record.message for record in caplog.records] == ["price source failed"]


@pytest.mark.parametrize(
    ("note", "mend"),
    [
        (f"the cluster does not tell of our node: /api/v1/nodes/{NODE}: HTTP 403", GET_NODES),
        ("the cluster does not tell of our node: /api/v1/nodes/x: HTTP 404", "fieldRef"),
        ("the cluster does not tell of our node: x: HTTP 401", "mount it, do not copy it"),
        ("the cluster does not tell of our node: set NODE_NAME (spec.nodeName)", "fieldRef"),
        ("the firmware says aws, whose metadata service is silent", "two hops"),
    ],
)
def test_what_is_in_the_way_comes_with_its_mend(note: str, mend: str) -> None:
    """Down to the rule that the ClusterRole lacks."""
    line = said(notes=(note,))[0]
    assert line.startswith(f"warn: {note}; ")
    assert mend in line


def test_a_metadata_service_that_refuses_is_no_matter_of_the_cluster() -> None:
    """Its 403 means that it is switched off."""
    assert said(notes=("aws: HTTP 403",))[0] == "warn: aws: HTTP 403"


# What is asked where the price is not to be looked up.


@pytest.fixture
def certificate(
    tmp_path_factory: pytest.TempPathFactory, real_tool: Callable[[str], Path]
) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key."""
    return make_certificate(tmp_path_factory.mktemp("tls"), str(real_tool("openssl")))


@pytest.fixture
def api(certificate: tuple[Path, Path]) -> Iterator[FakeApiServer]:
    """An API server of a cluster without nodes."""
    with fake_apiserver(*certificate) as fake:
        yield fake


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What metadata services are asked; none is there."""
    found: list[str] = []
    real = metadata.ask

    def ask(target: str, *arguments: object, **options: object) -> object:
        found.append(target)
        return real(target, *arguments, **options)  # type: ignore[arg-type]

    for module in ("aws", "azure", "gcp"):
        monkeypatch.setattr(f"unitcost.collectors.identity.{module}.ask", ask)
    monkeypatch.setattr(metadata, "ADDRESSES", ADDRESSES)
    for name in ("KUBERNETES_SERVICE_HOST", "NODE_NAME"):
        monkeypatch.delenv(name, raising=False)
    return found


def scene(folder: Path, vendor: str = "", **environ: str) -> Scene:
    """A host whose firmware names its maker, in a pod or not."""
    place = folder / "sys/class/dmi/id"
    place.mkdir(parents=True, exist_ok=True)
    (place / "sys_vendor").write_text(vendor)
    options = {"kubernetes": kubernetes.Options(service_account=str(folder / "account"))}
    return Scene(sysfs=folder / "sys", environ=environ, options=options)


def unpriced(where: Scene, text: str = "") -> list[str]:
    """What is said of a host without a price."""
    return told(price_findings(loads(text), where))


@pytest.mark.parametrize("vendor", ["LENOVO", "Dell Inc.", ""])
def test_no_service_is_asked_on_a_laptop(vendor: str, tmp_path: Path, asked: list[str]) -> None:
    """Nor where the firmware says nothing, as in many containers."""
    (line,) = unpriced(scene(tmp_path, vendor))
    assert line.startswith(f"warn: {UNPRICED}; set price.usd_per_hour or price.owned")
    assert asked == []


def test_a_cloud_s_machine_hears_what_it_is_and_that_it_could_be_looked_up(
    tmp_path: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its own metadata service."""
    with fake_metadata("aws") as service:
        places = {Place.IPV4: ("127.0.0.1", service.port), Place.AMAZON_IPV6: ("127.0.0.1", 9)}
        monkeypatch.setattr(metadata, "ADDRESSES", places)
        host, price = unpriced(scene(tmp_path, "Amazon EC2"))
    assert host.startswith("ok: aws ")
    assert host.endswith("(by the metadata service of aws)")
    assert price.startswith(f"warn: {UNPRICED}; set price.lookup: {{}} to have it looked up, or ")
    assert asked


def test_a_cloud_s_machine_whose_service_is_silent_is_told(
    tmp_path: Path, asked: list[str]
) -> None:
    """Before the price."""
    silent, price = unpriced(scene(tmp_path, "Amazon EC2"))
    assert silent.startswith("warn: the firmware says aws, whose metadata service is silent; ")
    assert price.startswith(f"warn: {UNPRICED}; set price.usd_per_hour")


def test_a_pod_that_may_not_get_its_node_is_told_the_rule(
    tmp_path: Path,
    asked: list[str],
    api: FakeApiServer,
    certificate: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once it may, it hears what its node is."""
    place = urlsplit(api.url)
    names = {
        "KUBERNETES_SERVICE_HOST": str(place.hostname),
        "KUBERNETES_SERVICE_PORT": str(place.port),
        "NODE_NAME": NODE,
    }
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    service_account(tmp_path / "account", certificate[0])
    api.status = 403
    refused, price = unpriced(scene(tmp_path, **names))
    assert refused == (
        f"warn: the cluster does not tell of our node: /api/v1/nodes/{NODE}: "
        f"HTTP 403 Forbidden: a bearer token is needed or wrong; {GET_NODES}"
    )
    assert '{apiGroups: [""], resources: [nodes], verbs: [get]}' in GET_NODES
    assert price.startswith(f"warn: {UNPRICED}; set price.usd_per_hour")
    api.status = 200
    api.objects[f"/api/v1/nodes/{NODE}"] = shape("nodes")["eks"]
    host, price = unpriced(scene(tmp_path, **names))
    assert host == "ok: aws me-central-1 me-central-1b g5.xlarge spot (by node_labels)"
    assert price.startswith(f"warn: {UNPRICED}; set price.lookup: {{}}")
    assert asked == []  # no metadata service


def test_nobody_is_asked_where_the_price_is_stated(tmp_path: Path, asked: list[str]) -> None:
    """It needs no more; and beside an agent that charges there is nothing to say."""
    where = scene(tmp_path, "Amazon EC2")
    assert unpriced(where, "price: {usd_per_hour: 2}") == ["ok: rent 2.000000 USD/h (override)"]
    assert unpriced(where, "host: {scope: units}") == []
    owned = "{purchase_usd: 8760, life_years: 1, electricity: {usd_per_kwh: 0.1}}"
    lines = unpriced(where, f"price: {{owned: {owned}}}")
    assert lines[0] == "ok: amortisation 1.000000 USD/h (owned)"
    assert not any("price.lookup" in line for line in lines)
    assert asked == []


def test_a_price_that_is_looked_up_is_asked_for(tmp_path: Path, asked: list[str]) -> None:
    """From the configuration to the findings: the built-in card, by what is stated."""
    text = """
price:
  lookup:
    metadata: false
    instance: {provider: aws, region: us-east-1, type: p5.48xlarge, terms: on_demand}
"""
    host, card, price = unpriced(scene(tmp_path), text)
    assert host == "ok: aws us-east-1 p5.48xlarge on_demand (by configuration)"
    assert card.startswith("ok: rate_card (built-in rate card) answered: ")
    assert price.startswith("warn: stale: 55.04 USD an hour")
    assert asked == []
