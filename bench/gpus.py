"""CPU and memory of `unitcost run` on a GPU node: 8 GPUs x 4 processes, 64 pods, by a kubelet.

Run: python bench/gpus.py [seconds]. Beside the pods there are other processes, 200 in all; then
once more with eight servers of 50 kB. The GPUs are the tests' library with NVML's interface, loaded
by the real nvidia-ml-py: its own work is counted too, that of a real driver may be more or less.
The kubelet and the API server speak the real protocols; the pods' control groups are real ones.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))
from footprint import cpu_seconds, port_of, print_peer, rss_mib, running
from world import endpoints, free_port, processes

from tests.gpu_node import GpuNode, gpu_node

WARM_SECONDS = 15
GPUS, SHARERS, PODS, PROCESSES, SERVERS = 8, 4, 64, 200, 8


def configuration(folder: Path, node: GpuNode, ports: list[int]) -> dict[str, object]:
    """Everything on, as it comes; the price of a large instance."""
    kubernetes = node.collectors["kubernetes"]
    served = [
        {
            "name": f"default/StatefulSet/chat{number}",
            "endpoints": [{"url": f"http://127.0.0.1:{port}/metrics"}],
        }
        for number, port in enumerate(ports)
    ]
    return {
        "workloads": served,
        "price": {"usd_per_hour": "98.32"},
        "collectors": {**node.collectors, "kubernetes": {**kubernetes, "poll": 1.0}},
        "ledger": {"path": str(folder / "ledger.db")},
        "web": {"address": "127.0.0.1", "port": free_port()},
    }


def fill(node: GpuNode) -> None:
    """Each GPU is time-sliced between four pods; all the others only use CPU and memory."""
    for gpu in range(GPUS):
        for number, device in enumerate(node.share(gpu, SHARERS)):
            node.pod(f"chat{gpu}-{number}", [device], gpu=gpu, sm=10 * number)
        node.gpu(gpu).utilization = (60, 20)
    for number in range(PODS - GPUS * SHARERS):
        node.pod(f"web{number}-0")
    node.driver.write()


def measure(child: subprocess.Popen[str], seconds: float) -> None:
    """Print CPU, memory and what was served."""
    url = f"http://127.0.0.1:{port_of(child)}/metrics"
    time.sleep(WARM_SECONDS)
    before, first, began = cpu_seconds(child.pid), rss_mib(child.pid), time.monotonic()
    rss, text = [first], ""
    while time.monotonic() - began < seconds:
        time.sleep(5)
        text = urllib.request.urlopen(url).read().decode()
        rss.append(rss_mib(child.pid))
    share = (cpu_seconds(child.pid) - before) / (time.monotonic() - began)
    ticks = seconds / 5
    print(f"cpu: {share:.2%} of one core over {seconds:.0f} s (target <= 1 %)")
    print(f"     {share * seconds / ticks * 1000:.0f} ms a tick")
    print(f"rss: {max(rss):.1f} MiB (target <= 100 MiB); first {first:.1f}, last {rss[-1]:.1f}")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    held = [line for line in lines if "allocation_info{" in line and "gpu:" in line]
    down = [line for line in lines if "collector_up{" in line and not line.endswith(" 1.0")]
    print(f"shares of GPUs told: {len(held)}; series: {len(lines)}; collectors down: {down}")


def run(node: GpuNode, folder: Path, ports: list[int], seconds: float) -> None:
    """One exporter, from its start."""
    folder.mkdir()
    config = folder / "unitcost.yaml"
    config.write_text(json.dumps(configuration(folder, node, ports)))
    command = [sys.executable, "-Im", "unitcost.exporter.cli", "run", "--config", str(config)]
    with running(command) as child:
        measure(child, seconds)


def main() -> None:
    """One line for each figure, without servers first."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    with (
        tempfile.TemporaryDirectory() as name,
        gpu_node(Path(name) / "node") as node,
        processes(PROCESSES - PODS),
        endpoints(SERVERS) as ports,
    ):
        fill(node)
        os.environ.update(node.environment)
        for title, served in (("no server", []), (f"{SERVERS} servers of 50 kB", ports)):
            print(f"# {GPUS} GPUs x {SHARERS} processes, {PODS} pods, {title}")
            run(node, Path(name) / f"run-{len(served)}", served, seconds)
        print_peer(1)


if __name__ == "__main__":
    main()
