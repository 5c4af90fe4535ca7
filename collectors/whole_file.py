"""A small file of the user's, read as a whole or not at all."""

import os
import stat
import time
from pathlib import Path

from unitcost.collectors.price_contract import PriceSourceError

ATTEMPTS = 3
YOUNG_NS = 10**9
"""A file that was changed so recently may still be being written."""
SETTLE_SECONDS = 0.02
_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


def read_whole(path: Path, cap: int) -> bytes:
    """What a regular file holds, `cap` bytes at most.

    One that changes while it is read, or that somebody is writing just now, is read again a few
    times: half of a price list is another price list. Raises PriceSourceError, without the folder.
    """
    try:
        for _ in range(ATTEMPTS):
            before, body, after = _read(path, cap)
            if _version(before) == _version(after):
                return body
    except OSError as error:
        raise PriceSourceError(f"{path.name} cannot be read: {error.strerror}") from None
    except ValueError:
        raise PriceSourceError("a file's name has a null character") from None
    raise PriceSourceError(f"{path.name} changed while it was read")


def _read(path: Path, cap: int) -> tuple[os.stat_result, bytes, os.stat_result]:
    descriptor = os.open(path, _OPEN)  # a pipe that nobody writes to does not hold us up
    with open(descriptor, "rb") as file:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise PriceSourceError(f"{path.name} is no file")
        body = file.read(cap + 1)
        if len(body) > cap:
            raise PriceSourceError(f"{path.name} is larger than {cap} bytes")
        if abs(time.time_ns() - before.st_mtime_ns) < YOUNG_NS:
            time.sleep(SETTLE_SECONDS)
        return before, body, os.fstat(descriptor)


def _version(found: os.stat_result) -> tuple[int, int]:
    return found.st_mtime_ns, found.st_size
