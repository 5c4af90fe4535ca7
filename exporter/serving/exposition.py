"""A snapshot as text for Prometheus: rendered once per tick, never per scrape.

Text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats). The name and the escaped
labels of a series are kept as bytes from tick to tick, so that a tick only formats values.
"""

import gzip
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from unitcost.exporter.serving.metric import Metric
from unitcost.exporter.serving.metrics import METRICS
from unitcost.exporter.serving.snapshot import Point, Snapshot

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MAX_LABEL_CHARACTERS = 128
MAX_SERIES = 10_000
MAX_SERIES_PER_METRIC = 2_000
DROPPED = "unitcost_series_dropped_total"
DROP_REASONS = ("limit", "not_finite", "duplicate", "malformed")

_GO_NOTATION_FROM = 1e6  # from here on Go writes an exponent where Python does not
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@dataclass(frozen=True, slots=True)
class Exposition:
    """What a scrape is answered with; `gzipped` is the same compressed, or None if not yet made."""

    body: bytes
    gzipped: bytes | None = None


def compress(body: bytes) -> bytes:
    """Gzip at the fastest level (docs/adr/0003-http-server.md has the figures)."""
    return gzip.compress(body, compresslevel=1, mtime=0)


def format_value(value: float) -> bytes:
    """Write a finite number exactly as prometheus_client does, large ones included.

    Raises TypeError, ValueError or OverflowError for what is no finite number.
    """
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("not finite")
    text = repr(number)
    if number >= _GO_NOTATION_FROM and (point := text.find(".")) > 1:
        digits = f"{text[0]}.{text[1:point]}{text[point + 1 :]}".rstrip("0.")
        text = f"{digits}e+{point - 1:02d}"
    return text.encode("ascii")


def _prefix(metric: Metric, values: tuple[str, ...]) -> bytes:
    """Write name and labels up to the value. Raises TypeError, ValueError or AttributeError."""
    pairs = ",".join(
        f'{label}="{value[:MAX_LABEL_CHARACTERS].translate(_ESCAPES)}"'
        for label, value in zip(metric.labels, values, strict=True)
    )
    # Half of a surrogate pair (an undecodable byte of a command line) becomes a question mark.
    return (f"{metric.name}{{{pairs}}} " if pairs else f"{metric.name} ").encode("utf-8", "replace")


def _header(metric: Metric) -> bytes:
    text = metric.help.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {metric.name} {text}\n# TYPE {metric.name} {metric.type}\n".encode()


class Renderer:
    """Renders snapshots. Keeps the line prefixes of the last snapshot, so its memory is bounded.

    What cannot be served is left out and counted, by reason, in `unitcost_series_dropped_total`:
    it never raises for what a snapshot holds. Used by one thread at a time.
    """

    def __init__(
        self,
        metrics: Sequence[Metric] = METRICS,
        max_series: int = MAX_SERIES,
        max_series_per_metric: int = MAX_SERIES_PER_METRIC,
    ) -> None:
        self._metrics = tuple(metrics)
        self._headers = {metric.name: _header(metric) for metric in self._metrics}
        self._max_series = max_series
        self._max_per_metric = max_series_per_metric
        self._prefixes: dict[str, dict[tuple[str, ...], bytes]] = {}
        self._dropped = Counter(dict.fromkeys(DROP_REASONS, 0))

    def render(self, snapshot: Snapshot, extra: bytes = b"") -> bytes:
        """Render all points in the table's order; `extra` is whole families, appended as it is."""
        self._dropped["malformed"] += sum(
            len(points) for name, points in snapshot.points.items() if name not in self._headers
        )
        families: dict[str, list[bytes]] = {}
        room = self._max_series
        for metric in self._metrics:
            if metric.name != DROPPED:
                points = snapshot.points.get(metric.name, ())
                lines = families[metric.name] = self._family(metric, points, room)
                room -= len(lines) // 3
        if DROPPED in self._headers:
            families[DROPPED] = self._dropped_lines()
        parts: list[bytes] = []
        for metric in self._metrics:
            if lines := families[metric.name]:
                parts.append(self._headers[metric.name])
                parts += lines
        parts.append(extra)
        return b"".join(parts)

    def _family(self, metric: Metric, points: Iterable[Point], room: int) -> list[bytes]:
        """Make the lines of one metric, three pieces each; at most `room` lines."""
        known = self._prefixes.get(metric.name, {})
        kept: dict[tuple[str, ...], bytes] = {}
        taken: set[bytes] = set()
        lines: list[bytes] = []
        room = min(room, self._max_per_metric)
        for point in points:
            try:
                labels, value = point
                prefix = known.get(labels) or _prefix(metric, labels)
            except (TypeError, ValueError, AttributeError):
                self._dropped["malformed"] += 1
                continue
            try:
                text = format_value(value)
            except (TypeError, ValueError, OverflowError):
                self._dropped["not_finite"] += 1
                continue
            if prefix in taken:
                self._dropped["duplicate"] += 1
            elif len(taken) >= room:
                self._dropped["limit"] += 1
            else:
                taken.add(prefix)
                kept[labels] = prefix
                lines += (prefix, text, b"\n")
        self._prefixes[metric.name] = kept
        return lines

    def _dropped_lines(self) -> list[bytes]:
        return [
            piece
            for reason in DROP_REASONS
            for piece in (
                f'{DROPPED}{{reason="{reason}"}} '.encode(),
                format_value(self._dropped[reason]),
                b"\n",
            )
        ]
