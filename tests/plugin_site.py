"""Distributions as an installer leaves them: metadata, entry points and modules in one folder."""

from collections.abc import Mapping
from pathlib import Path

COLLECTOR = '''
"""A collector of a third party."""

import time

import msgspec

from unitcost.collectors.base import Reading
from unitcost.pricing.sample import Quantity, Sample, Subject
from unitcost.pricing.workload import WorkloadKind


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`steps`: what it says it has counted."""

    steps: int = 1


class Acme:
    """Always says the same."""

    name = "acme"

    def __init__(self, options: Options) -> None:
        self._steps = float(options.steps)

    def collect(self, deadline: float) -> Reading:
        job = Subject("acme", workload="acme-job", kind=WorkloadKind.TRAINING)
        sample = Sample(job.id, Quantity.STEPS, self._steps, time.monotonic_ns())
        return Reading(samples=(sample,), subjects=(job,))


def make_collector(options: Options, context: object) -> Acme:
    return Acme(options)
'''

SERVER = '''
"""A server's table of a third party."""

from unitcost.collectors.tables import Series, ServerTable

SERVER = ServerTable(
    marker=("acme_",), requests_succeeded=(Series(metric="acme_requests_total"),)
)
'''

PRICES = '''
"""A price source of a third party."""

import time
from decimal import Decimal

import msgspec

from unitcost.collectors.price_contract import NotHere, PriceSourceError
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import PriceKey, Quote
from unitcost.pricing.resolve import Rank


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`usd`: what a host of Acme's costs an hour; empty: Acme is away."""

    usd: str = "2.5"


class Acme:
    """Says what it is told to."""

    name = "acme_prices"
    rank = Rank.LIVE
    refresh_seconds = 3600.0

    def __init__(self, options, context):
        self._usd = options.usd
        self._wall_ns = context.wall_ns

    def quotes(self, identity, deadline):
        if identity.provider != "acme":
            raise NotHere("no host of Acme's")
        if not self._usd:
            raise PriceSourceError("Acme is away")
        if identity.sku != "big":
            return []
        key = PriceKey("acme", "here", "big", PriceModel.ON_DEMAND)
        now_ns = self._wall_ns()
        return [Quote(key, Decimal(self._usd), "acme", as_of_ns=10**18, known_at_ns=now_ns)]


def make_source(options, context):
    return Acme(options, context)
'''


def install(
    folder: Path,
    name: str,
    entry_points: Mapping[str, Mapping[str, str]] | str,
    modules: Mapping[str, str] | None = None,
    version: str = "1.2",
) -> None:
    """Install a distribution into a folder of the import path."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    if not isinstance(entry_points, str):
        lines = []
        for group, entries in entry_points.items():
            lines.append(f"[{group}]")
            lines += [f"{key} = {value}" for key, value in entries.items()]
        entry_points = "\n".join(lines) + "\n"
    (info / "entry_points.txt").write_text(entry_points, encoding="utf-8")
    for module, text in (modules or {}).items():
        (folder / f"{module}.py").write_text(text, encoding="utf-8")


def install_acme(folder: Path, name: str = "acme-unitcost", module: str = "acme") -> None:
    """A good one: a collector `acme` and a server's table `acme`."""
    install(
        folder,
        name,
        {
            "unitcost.collectors": {"acme": f"{module}_collector"},
            "unitcost.servers": {"acme": f"{module}_server:SERVER"},
        },
        {f"{module}_collector": COLLECTOR, f"{module}_server": SERVER},
    )
