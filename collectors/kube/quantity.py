"""Amounts as Kubernetes writes them: ``1500m``, ``0.5``, ``2Gi``, ``1e3``."""

import math
import re
from fractions import Fraction

MAX = 2**63 - 1
_FORM = re.compile(
    r"\+?(?P<number>[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})"
    r"(?:(?P<binary>[KMGTPE])i|(?P<decimal>[numkMGTPE])|[eE](?P<exponent>[+-]?[0-9]{1,2}))?"
)
_BINARY = "KMGTPE"
_DECIMAL = "num kMGTPE"


def cpu_milli(text: str) -> int | None:
    """Thousandths of a CPU, rounded up as Kubernetes does; None for what is no amount."""
    return _whole(text, 1000)


def size_bytes(text: str) -> int | None:
    """Bytes, rounded up; None for what is no amount."""
    return _whole(text, 1)


def _whole(text: str, times: int) -> int | None:
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    whole = math.ceil(Fraction(match["number"]) * _factor(match) * times)
    return whole if whole <= MAX else None


def _factor(match: re.Match[str]) -> Fraction:
    if match["binary"]:
        return Fraction(1024 ** (_BINARY.index(match["binary"]) + 1))
    if match["decimal"]:
        return Fraction(1000) ** (_DECIMAL.index(match["decimal"]) - 3)
    return Fraction(10) ** int(match["exponent"] or 0)
