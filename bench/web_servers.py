"""Compare HTTP servers for /metrics: slow clients, scrape time, memory, idle CPU, stopping.

    python bench/web_servers.py [--slow 1000] [--only NAME ...]

Loopback only, bounded in count and time. Each server runs in a process of its own, embedded in
a thread, as it would be in the exporter. Prints one Markdown row for each.
"""

import argparse
import http.client
import json
import resource
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CANDIDATES = Path(__file__).with_name("web_candidates.py")
NAMES = (
    "prometheus_client", "waitress", "cheroot", "granian", "uvicorn", "uvicorn_httptools",
    "unitcost",
)  # fmt: skip
SMALL, LARGE = 60_000, 1_200_000  # bytes of about 500 and 10,000 series
HALF = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
WAIT = 5.0  # longest a scrape is waited for, seconds
SCRAPES_MEANWHILE = 200
TIMED_OUT_WITHIN = 16  # seconds after which half-sent requests should be gone


@dataclass
class Child:
    """A server in its own process."""

    process: subprocess.Popen[str]
    up: dict[str, Any]

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.up["port"])

    def status(self, field: str) -> int:
        """One number of /proc/<pid>/status (kB or a count)."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(field))

    def cpu_seconds(self) -> float:
        """CPU time used so far by all threads, to the nanosecond (`schedstat`)."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

    def stop(self) -> float | None:
        """Ask it to stop; seconds that took, or None where it did not within 15 s."""
        try:
            out, _ = self.process.communicate(timeout=15)
            return float(json.loads(out)["stop_s"])
        except (subprocess.TimeoutExpired, ValueError):
            return None


@contextmanager
def serving(name: str, size: int) -> Iterator[Child]:
    """Run one candidate with a body of `size` bytes."""
    process = subprocess.Popen(
        [sys.executable, str(CANDIDATES), name, str(size)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        line = process.stdout.readline() if process.stdout else ""
        yield Child(process, json.loads(line))
    finally:
        process.kill()
        process.wait()


def timings(action: Callable[[], object], count: int) -> list[float]:
    """Milliseconds of each of `count` calls; a failed one counts as the longest wait."""
    taken = []
    for _ in range(count):
        start = time.perf_counter()
        try:
            action()
            taken.append((time.perf_counter() - start) * 1e3)
        except (OSError, http.client.HTTPException):
            taken.append(WAIT * 1e3)
    return sorted(taken)


def scrape(connection: http.client.HTTPConnection) -> int:
    """Fetch /metrics once; the number of bytes. Raises OSError where that is not a 200."""
    connection.request("GET", "/metrics")
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        raise OSError(f"status {response.status}")
    return len(body)


def scrape_anew(port: int) -> int:
    """The same over a new connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT)
    try:
        return scrape(connection)
    finally:
        connection.close()


def half_sent(port: int, count: int) -> list[socket.socket]:
    """Open `count` connections that each send part of a request; those that could."""
    sockets = [socket.socket() for _ in range(count)]
    for number, sock in enumerate(sockets):
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", port))
        if number % 50 == 49:
            time.sleep(0.05)
    time.sleep(4)  # a full queue makes the kernel try again after 1 and 3 s
    opened = []
    for sock in sockets:
        try:
            sock.send(HALF)
            opened.append(sock)
        except OSError:
            sock.close()
    return opened


def still_open(sockets: list[socket.socket]) -> int:
    """How many of the connections the server has not closed."""
    count = 0
    for sock in sockets:
        try:
            count += sock.recv(1024) != b""
        except BlockingIOError:
            count += 1
        except OSError:
            pass
    return count


def measure_scrapes(name: str, size: int, count: int, idle: float) -> tuple[float, float, float]:
    """Median scrape in ms over one kept connection, RSS added in MiB, idle CPU in percent."""
    with serving(name, size) as child:
        base = child.status("VmRSS") / 1024 - child.up["rss_mib"]
        connection = http.client.HTTPConnection("127.0.0.1", child.port, timeout=WAIT)
        timings(lambda: scrape(connection), 20)
        taken = timings(lambda: scrape(connection), count)
        added = child.status("VmRSS") / 1024 - base
        before = child.cpu_seconds()
        time.sleep(idle)
        busy = (child.cpu_seconds() - before) / idle * 100
        connection.close()
    return statistics.median(taken), added, busy


def measure_slow(name: str, slow: int) -> dict[str, Any]:
    """Scrape over new connections while `slow` half-sent requests are held open."""
    with serving(name, SMALL) as child:
        scrape_anew(child.port)
        threads = child.status("Threads")
        sockets = half_sent(child.port, slow)
        time.sleep(1)
        result: dict[str, Any] = {"opened": len(sockets)}
        taken = timings(lambda: scrape_anew(child.port), 20)
        if taken[len(taken) // 2] < WAIT * 1e3:
            taken += timings(lambda: scrape_anew(child.port), SCRAPES_MEANWHILE)
        taken.sort()
        result["p50"], result["p99"] = taken[len(taken) // 2], taken[int(len(taken) * 0.99)]
        result["worst"] = taken[-1]
        result["threads"] = child.status("Threads") - threads
        result["rss_mib"] = child.status("VmRSS") / 1024
        end = time.monotonic() + TIMED_OUT_WITHIN
        while (left := still_open(sockets)) and time.monotonic() < end:
            time.sleep(0.5)
        result["left"] = left
        result["stop_s"] = child.stop()
        for sock in sockets:
            sock.close()
    return result


def row(name: str, slow: int) -> str:
    """Measure one candidate and write its row."""
    small, added, idle = measure_scrapes(name, SMALL, 300, 10)
    large, _, _ = measure_scrapes(name, LARGE, 60, 0.1)
    held = measure_slow(name, slow)
    stop = "did not" if held["stop_s"] is None else f"{held['stop_s']:.2f}"
    return (
        f"| {name} | {small:.2f} | {large:.2f} | {added:.1f} | {idle:.2f} | {held['opened']} "
        f"| +{held['threads']} | {held['p50']:.1f} | {held['p99']:.1f} | {held['worst']:.0f} "
        f"| {held['left']} | {stop} |"
    )


def main() -> None:
    """Measure all candidates, or those given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slow", type=int, default=1000, help="half-sent requests, at most 4000")
    parser.add_argument("--only", nargs="*", choices=NAMES, default=NAMES)
    arguments = parser.parse_args()
    slow = min(arguments.slow, 4000)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < slow + 200:
        wanted = slow + 200 if hard == resource.RLIM_INFINITY else min(slow + 200, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    print(
        "| server | 500 series, ms | 10,000 series, ms | RSS added, MiB | idle CPU, % of a core "
        f"| half-sent of {slow} | threads | scrape meanwhile p50, ms | p99, ms | worst, ms "
        f"| half-sent still open after {TIMED_OUT_WITHIN} s | stop, s |"
    )
    print("|---" * 12 + "|")
    for name in arguments.only:
        print(row(name, slow), flush=True)


if __name__ == "__main__":
    main()
