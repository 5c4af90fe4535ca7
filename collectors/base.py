"""The collector's contract, and how collectors and server tables are found.

A collector is one file in this folder with a function ``make_collector(options, context)`` and a
class ``Options`` (a frozen msgspec.Struct that forbids unknown fields, all with defaults): its
section under ``collectors:`` in the configuration. An inference server is one file in
``servers/`` with a constant ``SERVER`` (a `ServerTable`). Nothing else is edited to add one.
Those of other distributions are found by entry point: plugins.py.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Protocol

import unitcost.collectors
from unitcost.collectors.tables import ServerTable
from unitcost.pricing.container import ContainerUse, Kubelet, Pod
from unitcost.pricing.device import Device
from unitcost.pricing.energy import Meter
from unitcost.pricing.sample import EpochMark, Layer, Listener, Process, Sample, Subject
from unitcost.pricing.workload import WorkloadKind


class NoData(Exception):
    """Nothing here to collect (no such device, no target): not an error, and not a zero."""


class NeedsRestart(Exception):
    """Only a new process can go on reading this (a driver was replaced under us)."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Part of a reading that could not be used; counted by `kind`, logged once by `detail`."""

    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What one collector saw in one go. Each part may be empty; absent means unknown, not zero.

    `devices`, `pods` and `containers` are None where the collector does not look for any; empty
    where there are none.
    """

    samples: tuple[Sample, ...] = ()
    subjects: tuple[Subject, ...] = ()
    processes: tuple[Process, ...] = ()
    listeners: tuple[Listener, ...] = ()
    marks: tuple[EpochMark, ...] = ()
    problems: tuple[Problem, ...] = ()
    devices: tuple[Device, ...] | None = None
    meters: tuple[Meter, ...] = ()
    kubelet: Kubelet | None = None
    pods: tuple[Pod, ...] | None = None
    containers: tuple[ContainerUse, ...] | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """One metrics endpoint from the configuration, and the workload it counts for.

    `server` names a table or is ``auto``; `model` is the name to use where the server has none.
    `models`: count only these; all where empty. `role`: ``prefill`` or ``decode`` where the server
    does only that part of each request. `layer`: where it counts, None as its table says.
    `by_tenant`: tell tenants apart, by `tenant_label` (as its table says where that is empty);
    `tenant_names` says what some values of that are called. `pod` (``namespace/name``) and
    `fallback` are for an empty `workload`: see `Subject`.
    """

    url: str
    workload: str
    kind: WorkloadKind
    server: str = "auto"
    model: str = ""
    bearer_token_file: str = ""
    models: tuple[str, ...] = ()
    role: str = ""
    layer: Layer | None = None
    by_tenant: bool = False
    tenant_label: str = ""
    tenant_names: Mapping[str, str] = field(default_factory=dict)
    pod: str = ""
    fallback: str = ""

    @property
    def id(self) -> str:
        """The id of the subject that is counted from it."""
        return f"server:{self.url}" + ("#" + ",".join(self.models) if self.models else "")


@dataclass(frozen=True, slots=True)
class Context:
    """What the configuration says that more than one collector may need.

    `ports`: TCP ports whose listening process is wanted. `servers`: tables written in the
    configuration, by name; `plugin_servers`: those of plugins, which give way to the built-in ones.
    `visible_devices`: whether CUDA_VISIBLE_DEVICES of processes is wanted.
    """

    targets: tuple[Target, ...] = ()
    servers: Mapping[str, ServerTable] = field(default_factory=dict)
    ports: frozenset[int] = frozenset()
    visible_devices: bool = False
    plugin_servers: Mapping[str, ServerTable] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What the other collectors saw last: what is on this host, for those who look for it."""

    processes: tuple[Process, ...] = ()
    pods: tuple[Pod, ...] = ()


class Collector(Protocol):
    """Reads one kind of thing. `collect` runs in a thread of its own, never twice at once."""

    name: str

    def collect(self, deadline: float) -> Reading:
        """Read everything now.

        `deadline` is an instant of ``time.monotonic()`` (seconds) by which the caller stops
        waiting; what comes later is used at the next tick. Raises `NoData` where there is
        nothing to read, `NeedsRestart` where the exporter must be started anew to go on reading;
        any other exception counts as an error of this collector alone.

        A collector may also have ``pause()`` and ``resume()``, called from another thread: between
        them it holds nothing of its devices open and raises `NoData` (docs/configuration.md), and
        ``meet(neighbours)``, called in its own thread before each `collect`. Where it has
        ``stays(options, context)`` it says whether it is to be used on after a reload with these,
        instead of being closed and made anew.
        """
        ...


MakeCollector = Callable[[Any, Context], Collector]
"""``make_collector(options, context)``; `options` is an instance of the module's ``Options``."""


@dataclass(frozen=True, slots=True)
class Found:
    """One module that was found: what it makes, or why it could not be imported.

    `origin`: the distribution that brought it and its version, empty for what is built in.
    """

    name: str
    module: ModuleType | None
    error: str | None
    origin: str = ""


def discover(
    package: ModuleType = unitcost.collectors, marker: str = "make_collector"
) -> list[Found]:
    """Import each module of `package` that has `marker`; return the error instead of raising.

    Modules without the marker (this one, helpers) are left out. One that cannot be imported,
    whatever it raises, is returned with its error, so one broken file breaks one collector.
    """
    found = []
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda item: item.name):
        if info.ispkg:
            continue
        try:
            module = importlib.import_module(f"{package.__name__}.{info.name}")
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a broken file is data here
            found.append(Found(info.name, None, f"{type(error).__name__}: {error}"))
            continue
        if hasattr(module, marker):
            found.append(Found(info.name, module, None))
    return found
