"""CPU and memory of `unitcost run` on a busy host: 200 processes, 8 servers, 16 workloads.

Run: python bench/footprint.py [seconds]. node_exporter, if it is there, runs beside it.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from world import endpoints, free_port, processes

WORKLOADS = 16
TICKS = os.sysconf("SC_CLK_TCK")
MIB = 2**20


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and its reaped children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS


def rss_mib(pid: int) -> float:
    """Resident memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def configuration(folder: Path, ports: list[int]) -> dict[str, object]:
    """Eight served models and eight plain workloads."""
    served = [
        {
            "name": f"model-{port}",
            "endpoints": [{"url": f"http://127.0.0.1:{port}/metrics"}],
            "reserve": {"cpu": 0.1},
        }
        for port in ports
    ]
    plain = [
        {"name": f"job-{n}", "kind": "other", "match": {"command": f"bench-workload-{n}$"}}
        for n in range(WORKLOADS - len(ports))
    ]
    return {
        "price": {"usd_per_hour": "10"},
        "workloads": served + plain,
        "ledger": {"path": str(folder / "ledger.db")},
        "web": {"address": "127.0.0.1", "port": free_port()},
    }


@contextlib.contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A child that is ended."""
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.terminate()


def port_of(child: subprocess.Popen[str]) -> int:
    """The port the exporter says it serves on."""
    for line in child.stderr or ():
        if "port=" in line:
            return int(line.split("port=")[1].split()[0])
    raise RuntimeError("the exporter did not start")


def main() -> None:
    """Print one line for each figure: what, measured, target or peer."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    with (
        tempfile.TemporaryDirectory() as name,
        endpoints(8) as ports,
        processes(200),
    ):
        config = Path(name) / "unitcost.yaml"
        config.write_text(json.dumps(configuration(Path(name), ports)))
        command = [sys.executable, "-Im", "unitcost.exporter.cli", "run", "--config", str(config)]
        with running(command) as child:
            url = f"http://127.0.0.1:{port_of(child)}/metrics"
            time.sleep(12)
            before, first, began = cpu_seconds(child.pid), rss_mib(child.pid), time.monotonic()
            rss = []
            while time.monotonic() - began < seconds:
                time.sleep(5)
                urllib.request.urlopen(url).read()
                rss.append(rss_mib(child.pid))
            spent = cpu_seconds(child.pid) - before
            share = spent / (time.monotonic() - began)
            print(f"cpu: {share:.2%} of one core over {seconds:.0f} s (target <= 1 %)")
            print(
                f"rss: {max(rss):.1f} MiB (target <= 75 MiB); first {first:.1f}, last {rss[-1]:.1f}"
            )
            print_peer(seconds)


def print_peer(seconds: float) -> None:
    """RSS of node_exporter beside it, scraped once."""
    binary = shutil.which("prometheus-node-exporter")
    if binary is None:
        print("node_exporter: not installed")
        return
    with running([binary, "--web.listen-address=127.0.0.1:19100"]) as child:
        time.sleep(2)
        urllib.request.urlopen("http://127.0.0.1:19100/metrics").read()
        print(f"node_exporter rss: {rss_mib(child.pid):.1f} MiB")


if __name__ == "__main__":
    main()
