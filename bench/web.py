"""What TLS and users cost a scrape, and what a thousand half-open connections do to one.

    python bench/web.py

The peer is our own server without a web configuration, in the same run: a process that serves 500
or 10,000 series, asked with gzip as Prometheus asks. Then TLS alone, and TLS with a client
certificate and a password, over a connection that is kept and over one for each scrape; and
scrapes while 1,000 connections have sent nothing, or the first half of a handshake, and while 200
clients guess passwords. Needs the openssl program.
"""

import contextlib
import http.client
import socket
import ssl
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from scrape import Peer, points, started

from unitcost.exporter.serving.exposition import Exposition, Renderer
from unitcost.exporter.serving.snapshot import Snapshot
from unitcost.exporter.serving.web import WebFile, WebServer

sys.path.append(str(Path(__file__).parent.parent))
from tests.exporter.web.certificates import World, hashed, world
from tests.exporter.web.served import basic
from tests.exporter.web_source import FakeSource

HALF_OPEN, GUESSES, ROUNDS = 1_000, 200, 200
TLS = "tls_server_config: {{cert_file: {server.cert}, key_file: {server.key}{more}}}\n"
MUTUAL = ", client_ca_file: {}, client_auth_type: RequireAndVerifyClientCert"
THREADS, SECONDS = 16, 1.0
"""Of the whole server, and for a scrape meanwhile: the promises."""


def serve(count: int, path: str) -> None:
    """Serve `count` series as a web configuration says, until killed."""
    body = Renderer().render(Snapshot(time.time_ns(), points(count, 0)))
    source = FakeSource()
    source.now = Exposition(body)
    file = WebFile(path) if path else None
    print(WebServer("127.0.0.1", 0, source, file).start(), flush=True)
    threading.Event().wait()


class Client:
    """Scrapes one server."""

    def __init__(self, peer: Peer, context: ssl.SSLContext | None, **headers: str) -> None:
        self.peer, self.context = peer, context
        self.headers = {"Accept-Encoding": "gzip", **headers}
        self.kept = self.connection()

    def connection(self) -> http.client.HTTPConnection:
        """A new one."""
        if self.context is None:
            return http.client.HTTPConnection("127.0.0.1", self.peer.port, timeout=30)
        return http.client.HTTPSConnection(
            "localhost", self.peer.port, timeout=30, context=self.context
        )

    def scrape(self, connection: http.client.HTTPConnection) -> None:
        """One scrape."""
        connection.request("GET", "/metrics", headers=self.headers)
        response = connection.getresponse()
        response.read()
        if response.status != 200:
            raise OSError(f"status {response.status}")

    def again(self) -> None:
        """Over the connection that is kept."""
        self.scrape(self.kept)

    def anew(self) -> None:
        """Over one of its own."""
        with contextlib.closing(self.connection()) as connection:
            self.scrape(connection)


def took_ms(work: Callable[[], object]) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e3


@contextlib.contextmanager
def running(count: int, path: str) -> Iterator[Peer]:
    """A server in a process of its own."""
    command = [sys.executable, str(Path(__file__).resolve()), str(count), path]
    with started(command, answers=False) as peer:
        yield peer


def configurations(folder: Path, made: World) -> dict[str, str]:
    """Paths of the web configurations, by what is measured."""
    mutual = TLS.format(server=made.server, more=MUTUAL.format(made.good.cert))
    texts = {
        "TLS": TLS.format(server=made.server, more=""),
        "TLS, certificate, password": mutual + f"basic_auth_users: {{me: '{hashed('pw', 10)}'}}",
    }
    paths = {"plain": ""}
    for number, (name, text) in enumerate(texts.items()):
        path = folder / f"web-{number}.yml"
        path.write_text(text)
        paths[name] = str(path)
    return paths


def client_of(name: str, peer: Peer, made: World) -> Client:
    """A client that is let in."""
    if name == "plain":
        return Client(peer, None)
    context = ssl.create_default_context(cafile=str(made.good.cert))
    context.load_cert_chain(made.client.cert, made.client.key)
    return Client(peer, context, Authorization=basic("me", "pw"))


def compare(count: int, folder: Path, made: World) -> None:
    """Print what each costs, in turns."""
    with contextlib.ExitStack() as stack:
        clients = {
            name: client_of(name, stack.enter_context(running(count, path)), made)
            for name, path in configurations(folder, made).items()
        }
        for how in ("again", "anew"):
            times: dict[str, list[float]] = {name: [] for name in clients}
            for _ in range(ROUNDS):
                for name, each in clients.items():
                    times[name].append(took_ms(getattr(each, how)))
            medians = {name: statistics.median(each[10:]) for name, each in times.items()}
            what = "connection kept" if how == "again" else "connection made anew"
            for name, median in medians.items():
                ratio = median / medians["plain"]
                print(f"{count:,} series, {what}, {name}: {median:.2f} ms, {ratio:.2f} x plain")
        for name, each in clients.items():
            print(f"{count:,} series, RSS, {name}: {each.peer.rss_mib():.1f} MiB")


def threads(peer: Peer) -> int:
    """How many its process has."""
    return len(list(Path(f"/proc/{peer.process.pid}/task").iterdir()))


def first_half(made: World) -> bytes:
    """What a client says first."""
    context = ssl.create_default_context(cafile=str(made.good.cert))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def beside(what: str, peer: Peer, client: Client, before: float) -> bool:
    """Print what scrapes take now, and what the process does; whether both are as promised."""
    times = sorted(took_ms(client.anew) for _ in range(50))
    count, memory = threads(peer), peer.rss_mib()
    print(
        f"{what}: scrape over a new connection, median {statistics.median(times):.1f} ms, "
        f"longest {times[-1]:.1f} ms; {count} threads, "
        f"RSS {memory:.1f} MiB, {memory - before:+.1f}"
    )
    return times[-1] < SECONDS * 1e3 and count <= THREADS


def floods(folder: Path, made: World) -> bool:
    """Scrape while others do no good."""
    good = True
    for name, path in configurations(folder, made).items():
        for what, sent in (("nothing", b""), ("half a handshake", first_half(made))):
            if name != "plain" or not sent:
                with running(500, path) as peer:
                    client = client_of(name, peer, made)
                    client.again()
                    before = peer.rss_mib()
                    with contextlib.ExitStack() as stack:
                        for _ in range(HALF_OPEN):
                            address = ("127.0.0.1", peer.port)
                            sock = stack.enter_context(socket.create_connection(address, 30))
                            sock.sendall(sent)
                        text = f"{HALF_OPEN:,} connections that sent {what}, {name}"
                        good = beside(text, peer, client, before) and good
    return good


def guesses(folder: Path, made: World) -> None:
    """Scrape while passwords are guessed."""
    name = "TLS, certificate, password"
    with running(500, configurations(folder, made)[name]) as peer:
        client = client_of(name, peer, made)
        client.again()
        before, ended = peer.rss_mib(), threading.Event()

        def guess(number: int) -> None:
            context = client.context
            mine = Client(peer, context, Authorization=basic("me", f"guess {number}"))
            while not ended.wait(1.0):  # as the answer says
                with contextlib.suppress(OSError):
                    mine.again()

        guessing = [threading.Thread(target=guess, args=(number,)) for number in range(GUESSES)]
        for each in guessing:
            each.start()
        try:
            beside(f"{GUESSES} clients that guess passwords", peer, client, before)
        finally:
            ended.set()
            for each in guessing:
                each.join()


def looking(folder: Path, made: World) -> None:
    """Print what looking at the files costs, and reading them."""
    path = configurations(folder, made)["TLS, certificate, password"]
    file = WebFile(path)
    look = statistics.median(took_ms(file.current) for _ in range(10_000))
    read = statistics.median(took_ms(lambda: WebFile(path)) for _ in range(50))
    print(f"a look at the files: {look * 1e3:.1f} us; reading them: {read:.1f} ms")


def main() -> int:
    """Measure all of it; 1 if a promise is not kept."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = world(folder / "certificates")
        for count in (500, 10_000):
            compare(count, folder, made)
        looking(folder, made)
        good = floods(folder, made)
        guesses(folder, made)
        print(f"promised beside half-open connections: {SECONDS:g} s, {THREADS} threads")
        return 0 if good else 1


if __name__ == "__main__":
    if len(sys.argv) == 3:
        serve(int(sys.argv[1]), sys.argv[2])
    else:
        sys.exit(main())
