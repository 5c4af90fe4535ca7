"""What a configuration says about this host: files, folders, and the capacity it claims."""

import os
import socket
import stat
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path

import msgspec

from unitcost.exporter.config.decode import Mistake
from unitcost.exporter.config.pod import NODE, completed_pod
from unitcost.exporter.config.settings import Ledger, Settings
from unitcost.pricing.workload import MAX_NAME_BYTES

LEDGER_NAME = "ledger.db"
SYSTEM_FOLDER = Path("/var/lib/unitcost")

_GIB = 1 << 30


def complete(settings: Settings, folder: Path, environ: Mapping[str, str]) -> Settings:
    """Fill in what was left open: the host's name, the ledger's path, and paths made absolute.

    Paths in a configuration file are relative to its `folder`.
    """
    replace = msgspec.structs.replace
    name = settings.host.name or environ.get(NODE, "") or socket.gethostname()[:MAX_NAME_BYTES]
    host = replace(settings.host, name=name or "localhost")
    only = settings.workloads[0].name if len(settings.workloads) == 1 else ""
    path = settings.ledger.path
    database = _absolute(settings.ledger.database_url_file, folder)
    ledger = _absolute(path, folder) if path or database else str(default_ledger(environ))
    workloads = tuple(
        replace(
            workload,
            endpoints=tuple(
                replace(point, bearer_token_file=_absolute(point.bearer_token_file, folder))
                for point in workload.endpoints
            ),
        )
        for workload in settings.workloads
    )
    central = settings.central
    if central is not None:
        files = {name: getattr(central, name) for name in ("token_file", "ca_file")}
        absolute = {name: _absolute(file, folder) for name, file in files.items()}
        central = replace(central, **absolute)
    return replace(
        settings,
        central=central,
        host=replace(host, pod=completed_pod(host, only, environ)),
        ledger=replace(settings.ledger, path=ledger, database_url_file=database),
        items_file=_absolute(settings.items_file, folder),
        workloads=workloads,
        web=replace(settings.web, config_file=_absolute(settings.web.config_file, folder)),
    )


def _absolute(path: str, folder: Path) -> str:
    return os.path.abspath(folder / path) if path else ""


def default_ledger(environ: Mapping[str, str], system: Path = SYSTEM_FOLDER) -> Path:
    """Where the ledger lies by default: the system's state folder if writable, else the user's."""
    if folder_problem(system) is None:
        return system / LEDGER_NAME
    state = environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):
        home = environ.get("HOME", "")
        if not os.path.isabs(home):
            return system / LEDGER_NAME
        state = os.path.join(home, ".local", "state")
    return Path(state) / "unitcost" / LEDGER_NAME


def folder_problem(folder: Path) -> str | None:
    """Why no file can be made in a folder (made if missing), if so."""
    existing = folder
    try:
        while not existing.exists() and existing != existing.parent:
            existing = existing.parent
        if not existing.is_dir():
            return f"{existing} is not a folder"
    except OSError as error:
        return f"folder {folder} cannot be reached: {_reason(error)}"
    writable = os.access(existing, os.W_OK | os.X_OK, effective_ids=True)
    if not writable and not _read_only(existing):
        return f"folder {existing} is not writable by this user"
    return None


def host_mistakes(settings: Settings) -> Iterator[Mistake]:
    """Files and folders that a completed configuration needs and this host does not give."""
    yield from _ledger_mistakes(settings.ledger)
    if problem := secret_problem(settings.web.config_file):
        yield Mistake(("web", "config_file"), problem)
    if problem := _items_file_problem(settings.items_file):
        yield Mistake(("items_file",), problem)
    for i, workload in enumerate(settings.workloads):
        for j, endpoint in enumerate(workload.endpoints):
            problem = secret_problem(endpoint.bearer_token_file)
            if problem:
                yield Mistake(("workloads", i, "endpoints", j, "bearer_token_file"), problem)


def _ledger_mistakes(ledger: Ledger) -> Iterator[Mistake]:
    if not ledger.database_url_file:
        if problem := _ledger_problem(Path(ledger.path)):
            yield Mistake(("ledger", "path"), problem)
    elif ledger.path:
        yield Mistake(("ledger", "path"), "the ledger is a file or in a database, not both")
    elif problem := secret_problem(ledger.database_url_file):
        yield Mistake(("ledger", "database_url_file"), problem)


def _ledger_problem(path: Path) -> str | None:
    try:
        if path.is_dir():
            return f"{path} is a folder, expected a file"
        usable = os.access(path, os.R_OK | os.W_OK, effective_ids=True)
        if path.exists() and not usable and not _read_only(path):
            return f"{path} is not readable and writable by this user"
    except OSError as error:
        return f"{path} cannot be reached: {_reason(error)}, expected a file of this user's"
    return folder_problem(path.parent)


def _items_file_problem(path: str) -> str | None:
    """Why items cannot be read from a file, if so; one that is not there yet may come."""
    if not path or not os.path.exists(path):
        return None
    if not os.path.isfile(path):
        return f"{path} is not a regular file"
    readable = os.access(path, os.R_OK, effective_ids=True)
    return None if readable else f"{path} is not readable by this user"


def _read_only(path: Path) -> bool:
    """Whether it lies on a read-only file system: the host's trouble, which may pass."""
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def _read_only_ledger(path: Path) -> bool:
    """Whether the ledger's nearest existing folder is on a read-only file system."""
    existing = next((each for each in path.parents if each.exists()), None)
    return existing is not None and _read_only(existing)


def secret_problem(path: str) -> str | None:
    """Why a secret's file cannot be used, if so; its content is not read."""
    if not path:
        return None
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        return f"{path} cannot be read: {_reason(error)}"
    if not stat.S_ISREG(mode):
        return f"{path} is not a regular file"
    readable = os.access(path, os.R_OK, effective_ids=True)
    return None if readable else f"{path} is not readable by this user"


def _reason(error: OSError) -> str:
    return error.strerror or "error"


def host_warnings(settings: Settings, cpus: int, memory_bytes: int) -> Iterator[str]:
    """What is allowed and yet looks wrong, one line each, for a host of that capacity."""
    ledger = settings.ledger
    if ledger.path and _read_only_ledger(Path(ledger.path)):
        yield "ledger.path: on a read-only file system: no totals are served until it is writable"
    if settings.items_file and not os.path.exists(settings.items_file):
        yield f"items_file: {settings.items_file} is not there yet"
    for i, workload in enumerate(settings.workloads):
        key = f"workloads[{i}]"
        if workload.match is None and not workload.endpoints and workload.kind != "training":
            yield f"{key}: has neither match nor endpoints: nothing can be counted for it"
        for j, endpoint in enumerate(workload.endpoints):
            if _world_readable(endpoint.bearer_token_file):
                where = f"{key}.endpoints[{j}].bearer_token_file"
                yield f"{where}: every user can read it, expected mode 0600"
    yield from _over_capacity(settings, cpus, memory_bytes)


def _world_readable(path: str) -> bool:
    try:
        return bool(path) and bool(os.stat(path).st_mode & stat.S_IROTH)
    except OSError:
        return False


def _over_capacity(settings: Settings, cpus: int, memory_bytes: int) -> Iterator[str]:
    reserved = [workload.reserve for workload in settings.workloads]
    cpu = sum((item.cpu for item in reserved), Decimal(0))
    memory = sum((item.memory_gib for item in reserved), Decimal(0))
    if cpu > cpus:
        yield f"workloads: {cpu} CPUs are reserved in all, this host has {cpus}"
    if memory * _GIB > memory_bytes:
        has = Decimal(memory_bytes) / _GIB
        yield f"workloads: {memory} GiB are reserved in all, this host has {has:.2f}"
