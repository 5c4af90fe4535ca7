"""State files on disk: names, writing one whole or not at all, reading and clearing old ones."""

import os
import time

from unitcost_client._folder import Folder
from unitcost_client._opened import Opened, is_own, is_own_file

MAX_BYTES = 65_536
MAX_READ = 256
"""How many earlier files a start looks at, newest first."""
KEEP_SECONDS = 7 * 86_400
"""A file of a process that is gone is cleared by its owner's next start after this long."""

_SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
_NAME = r"\.?train-[A-Za-z0-9._-]+-(?P<pid>\d{1,10})-(?P<started>\d{1,20})\.json(\.tmp)?"


def _slug(job: str) -> str:
    """The job's name as it may stand in a file's name."""
    return "".join(each if each in _SAFE else "_" for each in job[:64]) or "_"


def file_name(job: str, pid: int, started_ns: int) -> str:
    """``train-<job>-<pid>-<started>.json``; no other start on this host has the same."""
    return f"train-{_slug(job)}-{pid}-{started_ns}.json"


def _pid_and_start(name: str) -> tuple[int, int] | None:
    """The process and the instant in a file's name, or None for a name that is none of ours."""
    import re  # as json: nearly every job has it by now, so that no import has to wait for it

    match = re.fullmatch(_NAME, name)
    return (int(match["pid"]), int(match["started"])) if match else None


def write(folder: Folder, name: str, data: bytes) -> None:
    """Put `data` in place of the file, whole or not at all; raises OSError.

    A reader sees the old file or the new one. It is not synced to disk: what survives is a killed
    process, not a power cut.
    """
    place = folder.open()
    temporary = f".{name}.tmp"
    try:
        try:
            _fill(temporary, data, place)
            place.replace(name, by=temporary)
        except OSError:
            place.remove(temporary)
            raise
    finally:
        place.close()


def _fill(name: str, data: bytes, place: Opened) -> None:
    """Write a new file with mode 0644; what lies there under that name is a leftover of ours."""
    try:
        file = place.create(name)
    except FileExistsError:
        place.remove(name)
        file = place.create(name)
    try:
        while data:
            data = data[os.write(file, data) :]
        if hasattr(os, "fchmod"):
            os.fchmod(file, 0o644)  # whatever the umask: the exporter may be another user
    finally:
        os.close(file)


def read_all(folder: Folder, job: str) -> list[dict[str, object]]:
    """Records of earlier starts of the job by this user, newest first; junk is left out."""
    prefix = f"train-{_slug(job)}-"
    try:
        place = folder.open()
    except OSError:
        return []
    try:
        names = [name for name in place.names() if name.startswith(prefix)]
        found = [(parts[1], name) for name in names if (parts := _pid_and_start(name))]
        newest = sorted(found, reverse=True)[:MAX_READ]
        records = [_read(name, place) for _, name in newest]
        return [record for record in records if record and record.get("job") == job]
    except OSError:
        return []
    finally:
        place.close()


def _read(name: str, place: Opened) -> dict[str, object] | None:
    """One record of this user's, or None."""
    import json

    try:
        file = place.open(name)
        try:
            if not is_own_file(os.fstat(file)):
                return None
            record = json.loads(os.read(file, MAX_BYTES))
        finally:
            os.close(file)
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def clear_old(folder: Folder) -> None:
    """Remove this user's files that are a week old and whose process is gone."""
    place = folder.open()
    try:
        for name in place.names():
            parts = _pid_and_start(name)
            if parts and not os.path.exists(f"/proc/{parts[0]}") and _is_old(name, place):
                place.remove(name)
    finally:
        place.close()


def _is_old(name: str, place: Opened) -> bool:
    """Whether the file is ours and nobody wrote it for `KEEP_SECONDS`."""
    try:
        status = place.stat(name)
    except OSError:
        return False
    return is_own(status) and time.time() - status.st_mtime > KEEP_SECONDS
