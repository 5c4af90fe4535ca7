"""One page of Markdown from the results: ``python3 tests/gpu summary FOLDER``."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Part = Mapping[str, Any]

NOT_MEASURED = "not measured"


def _energy(part: Part) -> str:
    off = ", ".join(f"{name[:-3]} {value:+.2%}" for name, value in part["deviation"].items())
    least, greatest = part["watts"]
    return f"counter against power: {off}; {part['seconds']:.0f} s, {least:.0f} to {greatest:.0f} W"


def _processes(part: Part) -> str:
    fewest, most = part["samples_in_a_reading"]
    return (
        f"steady {part['steady_percent']} %, half {part['half_percent']} %; at most "
        f"{part['greatest_sum_percent']:.1f} % in a reading; {fewest} to {most} samples of each"
    )


def _latency(part: Part) -> str:
    wall, calls = part["wall_ms"], part["calls"]
    return f"median {wall['median']} ms, p99 {wall['p99']} ms, {calls:.0f} calls"


def _training(part: Part) -> str:
    return (
        f"{part['epoch_usd']:.6f} USD an epoch, {part['deviation']:+.4%} off price x time; "
        f"{part['joules']:.0f} of {part['device_joules']:.0f} J are the job's"
    )


def _generation(part: Part) -> str:
    return (
        f"{part['request_usd']:.8f} USD a request, {part['requests']:.0f} requests, "
        f"{part['deviation']:+.4%} off the server's cost"
    )


def _record(part: Part) -> str:
    slowest = part["slowest"]
    return (
        f"{part['product']}, driver {part['driver']}, nvidia-ml-py {part['binding']}; slowest: "
        f"{slowest['call']}, p99 {slowest['p99'] / 1000:.2f} ms"
    )


ROWS: Mapping[str, Callable[[Part], str]] = {
    "record": _record,
    "energy under load": _energy,
    "energy while idle": _energy,
    "processes": _processes,
    "latency": _latency,
    "training": _training,
    "generation": _generation,
}


def summary(folder: Path) -> str:
    """The page, from whatever results there are."""
    file = folder / "results.json"
    results = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    which = "a pretended GPU: this says nothing of real ones" if results.get("pretended") else ""
    lines = [f"# Checks on {which or 'a real GPU'}", "", "| check | found |", "|---|---|"]
    for name, say in ROWS.items():
        found = say(results[name]) if name in results else NOT_MEASURED
        lines.append(f"| {name} | {found} |")
    if "table" in results.get("processes", {}):
        lines += ["", "SM time of two processes:", "", results["processes"]["table"]]
    if "record" in results:
        lines += _habits(results["record"])
    return "\n".join(lines) + "\n"


def _habits(record: Part) -> list[str]:
    """How samples come, and which calls are refused."""
    lines = [
        "",
        "| samples | in a call | apart, ms | age, ms | repeated | codes |",
        "|---" * 6 + "|",
    ]
    for name, part in record["habits"].items():
        apart = [each["apart_ms"].get("median") for each in part["pids"]]
        again = part["not_newer_than_last_seen"], [each["repeated"] for each in part["pids"]]
        many, age = part["in_a_call"], part["age_of_newest_ms"].get("median")
        span = f"{many['min']} to {many['max']}" if many else "none"
        lines.append(f"| {name} | {span} | {apart} | {age} | {again} | {part['codes']} |")
    refused = [f"* `{name}`: {kind}" for name, kind in record["refused"].items()]
    return [*lines, "", "Refused:", "", *(refused or ["* nothing"])]


if __name__ == "__main__":
    print(summary(Path(sys.argv[1])), end="")
