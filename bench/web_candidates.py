"""The HTTP servers that bench/web_servers.py compares, each embedded in a thread of its own.

Run as a program it serves one of them and reports about itself: one JSON line when it is up,
one when it has stopped (it stops when its standard input closes).
"""

import argparse
import asyncio
import gc
import importlib
import json
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

Stop = Callable[[], None]
TEXT = "text/plain; version=0.0.4; charset=utf-8"


def rss_mib() -> float:
    """Resident memory of this process in MiB."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))


def listening() -> socket.socket:
    """A listening socket on a free loopback port.

    asyncio turns Nagle's algorithm off only for sockets it made itself; without this line a
    scrape takes 44 ms, waiting for a delayed ACK.
    """
    sock = socket.create_server(("127.0.0.1", 0), backlog=2048)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def wsgi_app(body: bytes) -> Callable[..., Any]:
    """Serve `body` at any path, as a WSGI application."""
    headers = [("Content-Type", TEXT), ("Content-Length", str(len(body)))]

    def app(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", headers)
        return [body]

    return app


def asgi_app(body: bytes) -> Callable[..., Any]:
    """Serve `body` at any path, as an ASGI application."""
    headers = [
        (b"content-type", TEXT.encode()),
        (b"content-length", str(len(body)).encode()),
    ]

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    return app


def waitress(body: bytes) -> tuple[int, Stop]:
    """Tuned: poll instead of select, room for the slow clients, a time-out of 10 s."""
    library: Any = importlib.import_module("waitress.server")  # it has no types
    server = library.create_server(
        wsgi_app(body),
        sockets=[sock := listening()],
        threads=2,
        connection_limit=2_000,
        channel_timeout=10,
        cleanup_interval=2,
        asyncore_use_poll=True,
    )
    thread = threading.Thread(target=server.run)
    thread.start()

    def stop() -> None:
        server.close()  # its loop ends when no socket is left in its map
        for channel in list(server._map.values()):
            channel.close()
        server.task_dispatcher.shutdown()
        thread.join()

    return sock.getsockname()[1], stop


def cheroot(body: bytes) -> tuple[int, Stop]:
    """Ten worker threads, a time-out of 10 s."""
    from cheroot.wsgi import Server

    server = Server(("127.0.0.1", 0), wsgi_app(body), numthreads=10, timeout=10)
    server.prepare()
    thread = threading.Thread(target=server.serve)
    thread.start()

    def stop() -> None:
        server.stop()
        thread.join()

    return server.bind_addr[1], stop


def uvicorn(body: bytes, http: str = "h11") -> tuple[int, Stop]:
    """One event loop; as it is, without our guard against half-sent requests."""
    import uvicorn as library

    config = library.Config(
        asgi_app(body), http=http, ws="none", lifespan="off", loop="asyncio", log_config=None,
        access_log=False, backlog=2048,
    )  # fmt: skip
    server = library.Server(config)
    sock = listening()
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[sock])))
    thread.start()

    def stop() -> None:
        server.should_exit = True
        thread.join()

    return sock.getsockname()[1], stop


def uvicorn_httptools(body: bytes) -> tuple[int, Stop]:
    """The same with the parser written in C."""
    return uvicorn(body, "httptools")


def granian(body: bytes) -> tuple[int, Stop]:
    """Its embedded server (marked experimental); room for the slow clients, a time-out of 10 s."""
    from granian.constants import Interfaces
    from granian.http import HTTP1Settings
    from granian.server.embed import Server

    with listening() as free:
        port = free.getsockname()[1]
    server = Server(
        asgi_app(body), port=port, interface=Interfaces.ASGINL, log_enabled=False, websockets=False,
        backlog=2048, backpressure=2_000,
        http1_settings=HTTP1Settings(header_read_timeout=10_000),
    )  # fmt: skip
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(server.serve()))
    thread.start()

    def stop() -> None:
        loop.call_soon_threadsafe(server.stop)
        thread.join()

    return port, stop


def prometheus_client(body: bytes) -> tuple[int, Stop]:
    """The reference: what most Python exporters use."""
    from prometheus_client import CollectorRegistry, start_http_server

    server, thread = start_http_server(0, "127.0.0.1", CollectorRegistry())
    server.set_app(wsgi_app(body))

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return server.server_port, stop


def unitcost(body: bytes) -> tuple[int, Stop]:
    """Ours: uvicorn with h11, limits in time and number of connections."""
    from unitcost.exporter.serving.exposition import Exposition
    from unitcost.exporter.serving.live.history import Past
    from unitcost.exporter.serving.live.view import About, View
    from unitcost.exporter.serving.snapshot import Snapshot
    from unitcost.exporter.serving.web import WebServer

    class Source:
        def exposition(self) -> Exposition:
            return Exposition(body)

        def live(self) -> View:
            return View(0, 0, Snapshot(0, {}), Past(), About())

        def healthy(self) -> bool:
            return True

        def ready(self) -> tuple[bool, str]:
            return True, ""

    server = WebServer("127.0.0.1", 0, Source())
    return server.start(), server.stop


CANDIDATES = {
    function.__name__: function
    for function in (
        prometheus_client,
        waitress,
        cheroot,
        granian,
        uvicorn,
        uvicorn_httptools,
        unitcost,
    )
}


def main() -> None:
    """Serve one candidate until standard input closes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=CANDIDATES)
    parser.add_argument("size", type=int, help="bytes of the body")
    arguments = parser.parse_args()
    import prometheus_client as _in_every_case  # noqa: F401 - the product has it loaded anyway

    body = b"x" * arguments.size
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    gc.collect()
    before, started = rss_mib(), time.perf_counter()
    port, stop = CANDIDATES[arguments.name](body)
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except ConnectionRefusedError:
            time.sleep(0.001)
    up = {"port": port, "start_s": time.perf_counter() - started, "rss_mib": rss_mib() - before}
    stolen = handlers != [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    print(json.dumps(up | {"stolen": stolen}), flush=True)
    sys.stdin.read()
    started = time.perf_counter()
    stop()
    print(json.dumps({"stop_s": time.perf_counter() - started}), flush=True)


if __name__ == "__main__":
    main()
