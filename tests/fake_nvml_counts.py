"""Reads the mapped file in which the pretended NVML counts its calls (native/nvml_counts.h)."""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ALL_DEVICES = "*"

_HEAD = struct.Struct("<8q")
_RECORD = struct.Struct("<64s56sQ")


@dataclass(frozen=True)
class Head:
    """What the library says about itself."""

    references: int = 0
    pid: int = 0
    inits: int = 0
    shutdowns: int = 0
    gpm_samples: int = 0
    event_sets: int = 0
    rejected_states: int = 0
    lost_counts: int = 0


def is_alive(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode()


def read_head(file: Path) -> Head:
    """The head of the file; all zero where the library was never loaded."""
    try:
        return Head(*_HEAD.unpack(file.read_bytes()[: _HEAD.size]))
    except (FileNotFoundError, struct.error):
        return Head()


def read_calls(file: Path) -> Iterator[tuple[str, str, int]]:
    """Each call's name, the device's UUID (ALL_DEVICES: the sum), and how often it was made."""
    try:
        records = file.read_bytes()[_HEAD.size :]
    except FileNotFoundError:
        return
    for call, uuid, count in _RECORD.iter_unpack(records):
        if count:
            yield _text(call), _text(uuid), count
