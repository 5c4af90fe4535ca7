"""A simulated fleet: pages of many hosts served by one process, and hours that they would deliver.

Each host has 8 GPUs and 4 servers of two GPUs each; a server has replicas on 20 hosts. Pages are
made of a recorded one, their counters move with time. Run: python bench/fleet_world.py HOSTS serves
them at /0, /1, ... until standard input ends, and prints the port and how many series one has.
"""

import asyncio
import contextlib
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

GOLDEN = Path(__file__).parent.parent / "tests" / "golden"
GPUS, SERVERS, REPLICAS = 8, 4, 20
_SAMPLE = re.compile(r"^(\w+)(\{.*\})? (\S+)$")


def gpu(host: int, number: int) -> str:
    """A GPU's id, as a driver gives them."""
    return f"gpu:GPU-{host:08x}-0000-4000-8000-{number:012x}"


def workload(host: int, number: int) -> str:
    """Whose replica a host has."""
    return f"ml/deployment/llm-{host // REPLICAS * SERVERS + number:04d}"


def _gpus_of(number: int | None) -> range:
    each = GPUS // SERVERS
    return range(GPUS) if number is None else range(number * each, (number + 1) * each)


def _of_server(line: str, host: int, number: int) -> Iterator[str]:
    named = line.replace('"chat"', f'"{workload(host, number)}"')
    named = named.replace('"tinyllama"', f'"model-{host // REPLICAS % 10}"')
    yield from _of_resources(named, host, number)


def _of_resources(line: str, host: int, number: int | None) -> Iterator[str]:
    yield line
    if 'resource="memory"' in line:
        for each in _gpus_of(number):
            yield line.replace('resource="memory"', f'resource="{gpu(host, each)}"')


def lines_of(host: int) -> Iterator[str]:
    """The samples of a host's page."""
    page = (GOLDEN / "vllm-cpu-prefix-cache.metrics.prom").read_text().splitlines()
    for line in page:
        if line.startswith("#"):
            yield line
        elif '"chat"' in line:
            for number in range(SERVERS):
                yield from _of_server(line, host, number)
        else:
            yield from _of_resources(line, host, None)
    for line in (GOLDEN / "every_metric.prom").read_text().splitlines():
        if 'device="gpu:GPU-1"' in line and "mig_instance" not in line:
            for each in range(GPUS):
                yield line.replace("gpu:GPU-1", gpu(host, each))


class Page:
    """A host's page: text with gaps for its counters, and what each grows by in a second."""

    def __init__(self, host: int) -> None:
        texts, self.rates = [], []
        for line in lines_of(host):
            found = _SAMPLE.match(line)
            if found and found[1].endswith("_total"):
                value = float(found[3])
                texts.append(f"{found[1]}{found[2] or ''} %.9f")
                self.rates.append(value / 60 * (1 + host % 7 / 10))
            else:
                texts.append(line.replace("%", "%%"))
        self.text = "\n".join(texts) + "\n"
        self.series = sum(not text.startswith("#") for text in texts)

    def at(self, seconds: float) -> bytes:
        """As it is so long after its start."""
        return (self.text % tuple(rate * seconds for rate in self.rates)).encode()


async def _serve(pages: list[Page]) -> None:
    began = time.monotonic()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                page = pages[int(head.split(b" ", 2)[1].strip(b"/"))]
                body = page.at(time.monotonic() - began)
                kind = b"text/plain; version=0.0.4"
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s"
                    % (kind, len(body), body)
                )
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=2**20)
    print(server.sockets[0].getsockname()[1], pages[0].series, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve([Page(host) for host in range(int(sys.argv[1]))]))
