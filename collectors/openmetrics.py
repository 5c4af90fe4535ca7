"""Reads inference servers' metrics endpoints and says what their tables find there.

Endpoints are read side by side; one that hangs, lies or is gone breaks only itself.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec

import unitcost.collectors.servers
from unitcost.collectors import fetch
from unitcost.collectors.base import Context, Neighbours, NoData, Problem, Reading, discover
from unitcost.collectors.discovery.finder import Finder, Found, Wanted
from unitcost.collectors.discovery.search import Scope
from unitcost.collectors.page.endpoint import Endpoint, Instant
from unitcost.collectors.page.exposition import ExpositionError
from unitcost.collectors.page.recognise import Recogniser, Unrecognised
from unitcost.collectors.page.table_reading import has_marker, make_plan, read_table
from unitcost.pricing.sample import Process

MAX_THREADS = 16
MAX_SAMPLES = 80_000
"""Samples of all endpoints together."""
PATIENCE = 0.3
"""Seconds for which a reading waits for what is just being discovered."""
_MARGIN = 0.1
_NEW_SECONDS = 0.5
"""As slow as that an endpoint is taken to be that was discovered and was not read yet."""

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`timeout`: seconds for one endpoint, everything included. `max_bytes`: largest answer.

    `discover`: find servers that nobody configured by the sockets that listen here; of those on
    `discover_ports` ask all, of those on `discover_exclude_ports` none. `discover_pods`: read the
    pods of this node that say so. `procfs`: where the host's is seen.
    """

    timeout: float = fetch.DEFAULT_TIMEOUT
    max_bytes: int = fetch.DEFAULT_CAP
    discover: bool = True
    discover_ports: tuple[Port, ...] = ()
    discover_exclude_ports: tuple[Port, ...] = ()
    discover_pods: bool = True
    procfs: str = "/proc"

    @property
    def wanted(self) -> Wanted:
        """What is to be discovered."""
        extra, excluded = frozenset(self.discover_ports), frozenset(self.discover_exclude_ports)
        return Wanted(self.discover, self.discover_pods, Scope(self.procfs, extra, excluded))

    def __post_init__(self) -> None:
        """Check the ranges. Raises ValueError."""
        if not 0 < self.timeout <= 60:
            raise ValueError("timeout must be above 0 and at most 60 s")
        if not 1024 <= self.max_bytes <= 64 * 1024 * 1024:
            raise ValueError("max_bytes must be between 1 KiB and 64 MiB")


class OpenMetricsCollector:
    """Reads all endpoints of the configuration, each with what it remembers of it."""

    name = "openmetrics"

    def __init__(
        self, options: Options, context: Context, wall_clock: Callable[[], int] = time.time_ns
    ) -> None:
        found = discover(unitcost.collectors.servers, "SERVER")
        tables = [item.module.SERVER for item in found if item.module is not None]
        tables = [*context.plugin_servers.values(), *tables]
        built_in = {table.name: make_plan(table) for table in tables}
        own = {name: make_plan(table) for name, table in context.servers.items()}
        self._options, self._context = options, context
        self._wall_clock = wall_clock
        self.recogniser = Recogniser(own, built_in)
        self._broken = tuple(
            Problem("table", f"the table of {item.name} cannot be used: {item.error}")
            for item in found
            if item.error is not None
        )
        # The same endpoint twice would count its units twice; the configuration's check says so.
        targets = {target.id: target for target in context.targets}
        self._configured = {name: Endpoint(target) for name, target in targets.items()}
        self._discovered: dict[str, tuple[Endpoint, Found]] = {}
        plans = {**built_in, **own}.values()
        self._finder = Finder(
            options.wanted, [plan.table for plan in plans], self.recogniser, context.targets
        )
        self._running: dict[str, Future[Reading]] = {}
        self._took: dict[str, float] = {}
        self._pool = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix=self.name)

    def meet(self, neighbours: Neighbours) -> None:
        """What the other collectors see: where to look for servers that nobody configured."""
        self._finder.meet(neighbours)

    def stays(self, options: Options, context: Context) -> bool:
        """While the same is to be read: else all servers would have to be discovered anew."""
        return (options, context) == (self._options, self._context)

    def collect(self, deadline: float) -> Reading:
        """Read every endpoint. Raises NoData where there is none, and nothing to tell."""
        self._finder.begin(self._starts())
        self._follow()
        until = deadline - _MARGIN / 2
        self._submit(deadline)
        self._wait(until)
        self._finder.settle(min(PATIENCE, until - time.monotonic()), self._starts())
        if self._follow():
            self._submit(deadline)
            self._wait(until)
        readings = {each.id: self._taken(each) for each in self._endpoints()}
        self._look_after(readings)
        problems = self._broken + self._finder.problems()
        if not readings and not problems:
            raise NoData("no workload of the configuration has an endpoint, none was discovered")
        return _merged(bounded(list(readings.values())), problems)

    def close(self) -> None:
        """Let the threads go; what they read just now ends within its limit."""
        self._finder.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _endpoints(self) -> list[Endpoint]:
        return [*self._configured.values(), *(each for each, _ in self._discovered.values())]

    def _starts(self) -> list[float]:
        """When the servers that are configured started, of those that say so."""
        lives = [endpoint.life for endpoint in self._configured.values()]
        return [life.birth.at for life in lives if life is not None and life.birth.at is not None]

    def _follow(self) -> bool:
        """Read those that are found now, and no others; says whether there are new ones."""
        before = self._discovered
        self._discovered = {}
        for found in self._finder.found():
            name = found.target.id
            known = before.get(name)
            same = known is not None and known[1].target == found.target
            endpoint = known[0] if known and same else Endpoint(found.target)
            if name not in self._configured:
                self._discovered[name] = endpoint, found
        for name in before.keys() - self._discovered.keys():
            self._took.pop(name, None)
            self._running.pop(name, None)
        return bool(self._discovered.keys() - before.keys())

    def _submit(self, deadline: float) -> None:
        """Begin to read all that are not being read, nor have been just now.

        The slow ones come last, so that no crowd of dead ones delays the living.
        """
        for endpoint in sorted(self._endpoints(), key=self._slowness):
            if endpoint.id not in self._running:
                self._running[endpoint.id] = self._pool.submit(self._timed, endpoint, deadline)

    def _slowness(self, endpoint: Endpoint) -> float:
        new = 0.0 if endpoint.id in self._configured else _NEW_SECONDS
        return self._took.get(endpoint.id, new)

    def _wait(self, until: float) -> None:
        wait(self._running.values(), max(0.0, until - time.monotonic()))

    def _look_after(self, readings: dict[str, Reading]) -> None:
        """Say which process each discovered server is; drop those that are gone by now."""
        here = [name for name, (_, found) in self._discovered.items() if not found.target.pod]
        if not all(subject.up for name in here for subject in readings[name].subjects):
            self._finder.look_again()
            self._follow()
        for name in readings.keys() - self._configured.keys() - self._discovered.keys():
            del readings[name]
        for name, (_, found) in self._discovered.items():
            if found.owner is not None and name in readings:
                readings[name] = _owned(readings[name], found.owner)

    def _taken(self, endpoint: Endpoint) -> Reading:
        """The reading of an endpoint, if it is there by now."""
        future = self._running[endpoint.id]
        over = future.done() or future.cancel()
        if over:
            del self._running[endpoint.id]
        if not over or future.cancelled():
            return endpoint.down(Problem("late", f"{endpoint.target.url}: not read in time"))
        if error := future.exception():
            detail = f"{endpoint.target.url}: {type(error).__name__} in the reader"
            return endpoint.down(Problem("internal", detail))
        return future.result()

    def _timed(self, endpoint: Endpoint, deadline: float) -> Reading:
        """Read an endpoint, in a thread of the pool, and remember how long that took."""
        began = time.monotonic()
        try:
            return self._read(endpoint, deadline)
        finally:
            self._took[endpoint.id] = time.monotonic() - began

    def _read(self, endpoint: Endpoint, deadline: float) -> Reading:
        """Read an endpoint; an error becomes a problem of this endpoint."""
        url = endpoint.target.url
        left = deadline - _MARGIN - time.monotonic()
        try:
            response = fetch.get(
                url,
                timeout=max(0.0, min(self._options.timeout, left)),
                cap=self._options.max_bytes,
                bearer_token=_token(endpoint.target.bearer_token_file),
            )
            endpoint.local = response.local
            at = Instant(time.monotonic_ns(), self._wall_clock())
            plan = self.recogniser.plan(endpoint.target.server, response.body)
            label = endpoint.target.tenant_label if endpoint.target.by_tenant else None
            readout = read_table(plan, response.body, label)
            if not readout.values and not has_marker(response.body, plan.table):
                # Not the server itself, perhaps a proxy's page: its counters are not zero.
                raise Unrecognised(
                    f"it has none of the samples of {plan.table.name or 'its table'}"
                )
            return endpoint.read(readout, at)
        except fetch.FetchError as error:
            return endpoint.down(Problem(error.kind, f"{url}: {error}"))
        except Unrecognised as error:
            return endpoint.down(Problem("unrecognised", f"{url}: {error}"), ready=True)
        except ExpositionError as error:
            return endpoint.down(Problem("malformed", f"{url}: {error}"), ready=True)
        except _TokenError as error:
            return endpoint.down(Problem("token", f"{url}: {error}"))


class _TokenError(Exception):
    """The bearer token cannot be read; the text never holds it."""


def _token(path: str) -> str | None:
    if not path:
        return None
    try:
        with Path(path).open(encoding="ascii") as file:
            token = file.read(fetch.MAX_TOKEN_LENGTH + 1).strip()
    except OSError as error:
        raise _TokenError(f"bearer_token_file cannot be read: {error.strerror}") from None
    except ValueError:
        raise _TokenError("bearer_token_file is no plain text") from None
    return token


def _owned(reading: Reading, owner: Process) -> Reading:
    """The reading of a server whose process is known."""
    subjects = [replace(s, pid=owner.pid, started=owner.started) for s in reading.subjects]
    return replace(reading, subjects=tuple(subjects))


def bounded(readings: Sequence[Reading]) -> list[Reading]:
    """The readings, those with most samples emptied where all together have too many.

    More than the exporter takes of one collector would cost the good endpoints theirs.
    """
    left = MAX_SAMPLES
    kept = {}
    for index in sorted(range(len(readings)), key=lambda each: len(readings[each].samples)):
        reading = readings[index]
        left -= len(reading.samples)
        kept[index] = reading if left >= 0 else _emptied(reading)
    return [kept[index] for index in range(len(readings))]


def _emptied(reading: Reading) -> Reading:
    """The endpoint as one that does not answer."""
    detail = "all endpoints together have too many samples, and this one the most"
    silent = tuple(
        replace(subject, up=False, ready=None, running=None) for subject in reading.subjects
    )
    names = ", ".join(subject.id for subject in reading.subjects)
    problem = Problem("too_many_samples", f"{names}: {detail}")
    return Reading(subjects=silent, problems=(*reading.problems, problem))


def _merged(readings: list[Reading], problems: tuple[Problem, ...]) -> Reading:
    return Reading(
        samples=tuple(sample for reading in readings for sample in reading.samples),
        subjects=tuple(subject for reading in readings for subject in reading.subjects),
        problems=problems + tuple(item for reading in readings for item in reading.problems),
    )


def make_collector(options: Options, context: Context) -> OpenMetricsCollector:
    """Make the collector of all endpoints in the configuration."""
    return OpenMetricsCollector(options, context)
