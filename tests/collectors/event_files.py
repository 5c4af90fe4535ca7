"""Writes TensorBoard event files as TensorFlow's record writer does, checksums included."""

import struct
from collections.abc import Iterable

CASTAGNOLI = 0x82F63B78


def crc32c(data: bytes) -> int:
    """Bit by bit: not the table that is tested."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (CASTAGNOLI if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data: bytes) -> bytes:
    """The masked checksum."""
    crc = crc32c(data)
    rotated = (crc >> 15 | crc << 17) & 0xFFFFFFFF
    return struct.pack("<I", (rotated + 0xA282EAD8) & 0xFFFFFFFF)


def record(data: bytes) -> bytes:
    """One record of a TFRecord file."""
    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + masked(data)


def varint(number: int) -> bytes:
    """A protobuf varint."""
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def block(field: int, data: bytes) -> bytes:
    """A length-delimited field."""
    return varint(field << 3 | 2) + varint(len(data)) + data


def version(wall: float) -> bytes:
    """The first record of a file."""
    return record(b"\x09" + struct.pack("<d", wall) + block(3, b"brain.Event:2"))


def scalars(wall: float, step: int, values: Iterable[tuple[str, float]]) -> bytes:
    """One record with values by tag."""
    summary = b"".join(
        block(1, block(1, tag.encode()) + b"\x15" + struct.pack("<f", value))
        for tag, value in values
    )
    return record(b"\x09" + struct.pack("<d", wall) + b"\x10" + varint(step) + block(5, summary))
