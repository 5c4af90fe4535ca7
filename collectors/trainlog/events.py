"""TensorBoard event files, read as they grow: which scalars were written, when, at which step.

A file is a row of records: length (u64), masked CRC-32C of the length, data, masked CRC-32C of the
data, all little-endian (TFRecord). The data is a protobuf `Event`: 1 wall_time (double), 2 step
(int64), 5 summary, of which 1 is a value with 1 tag and 2 simple_value (float). Hand-read, for
TensorBoard would be a dependency of 100 MB.
"""

import functools
import struct
from collections.abc import Iterator
from dataclasses import dataclass

MAX_RECORD = 1 << 20
"""Longer records (pictures) are skipped unread."""
MAX_CHECKED = 4096
"""Longer data is taken without its checksum: it takes 0.1 µs a byte."""
MAX_VALUES = 256
MAX_TAG = 256
_HEADER = struct.Struct("<QI")
_OVERHEAD = 16


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value of a summary; `value` is None where it is no plain float (a tensor)."""

    wall_seconds: float
    step: int
    tag: str
    value: float | None


class Corrupt(Exception):
    """What follows in the file cannot be read. `before`: what was read up to there."""

    before: tuple[Scalar, ...] = ()


@dataclass(slots=True)
class EventFile:
    """What was read of one file: up to `offset`. `begun` is its first record's time, in seconds.

    `broken`: what follows cannot be read. `skipped`: what was fed last ended with a long record.
    """

    offset: int = 0
    begun: float | None = None
    broken: bool = False
    skipped: bool = False

    def feed(self, data: bytes) -> list[Scalar]:
        """Take what follows at `offset`; a partial record at its end waits. Raises Corrupt."""
        found: list[Scalar] = []
        self.skipped = False
        try:
            self._feed(data, found)
        except Corrupt as error:
            error.before = tuple(found)
            raise
        return found

    def _feed(self, data: bytes, found: list[Scalar]) -> None:
        place = 0
        while len(data) - place >= _HEADER.size:
            length, crc = _HEADER.unpack_from(data, place)
            if masked_crc(data[place : place + 8]) != crc:
                raise Corrupt(f"a wrong checksum at byte {self.offset}")
            size = length + _OVERHEAD
            if length > MAX_RECORD:
                self.offset += size
                self.skipped = True
                break  # go on behind it
            if len(data) - place < size:
                break
            record = data[place + _HEADER.size : place + _HEADER.size + length]
            (check,) = struct.unpack_from("<I", data, place + size - 4)
            if length <= MAX_CHECKED and masked_crc(record) != check:
                raise Corrupt(f"a wrong checksum at byte {self.offset}")
            wall, scalars = parse_event(record)
            if self.begun is None:
                self.begun = wall
            found += scalars
            place += size
            self.offset += size


def parse_event(record: bytes) -> tuple[float, list[Scalar]]:
    """When an event was written (Unix seconds), and its scalars. Raises Corrupt."""
    wall, step = 0.0, 0
    summaries = []
    for number, value in _fields(record):
        if number == 1 and isinstance(value, float):
            wall = value
        elif number == 2 and isinstance(value, int):
            step = value if value < 1 << 63 else 0
        elif number == 5 and isinstance(value, bytes):
            summaries.append(value)
    values = [part for summary in summaries for part in _parts(summary)][:MAX_VALUES]
    return wall, [Scalar(wall, step, *_tag_and_value(value)) for value in values]


def _parts(summary: bytes) -> Iterator[bytes]:
    return (value for number, value in _fields(summary) if number == 1 and isinstance(value, bytes))


def _tag_and_value(data: bytes) -> tuple[str, float | None]:
    tag, simple = "", None
    for number, value in _fields(data):
        if number == 1 and isinstance(value, bytes):
            tag = value[:MAX_TAG].decode("utf-8", "replace")
        elif number == 2 and isinstance(value, float):
            simple = value
    return tag, simple


def _fields(data: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """The fields of a protobuf message. Raises Corrupt."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, place = _varint(data, place)
            yield number, value
            continue
        size = {1: 8, 5: 4}.get(wire)
        if size is None:
            if wire != 2:
                raise Corrupt(f"a field of wire type {wire}")
            size, place = _varint(data, place)
        if place + size > len(data):
            raise Corrupt("a field that goes beyond its message")
        raw = data[place : place + size]
        place += size
        yield number, raw if wire == 2 else struct.unpack("<d" if wire == 1 else "<f", raw)[0]


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            break
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise Corrupt("an endless number")


@functools.cache
def _table() -> tuple[int, ...]:
    found = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)
        found.append(number)
    return tuple(found)


def masked_crc(data: bytes) -> int:
    """CRC-32C (Castagnoli), masked as TFRecord does."""
    table, crc = _table(), 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
