"""A server at the level of sockets: it answers a request with whatever a test wants, or worse."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

Answer = Callable[[socket.socket], None]
"""What to do with a connection after the request's head was read; it is closed afterwards."""

PATIENCE = 30.0


@dataclass
class RawServer:
    """A running server; `requests` are the heads it received, `answer` may be changed.

    One that does not listen answers before it is asked.
    """

    port: int
    answer: Answer
    listens: bool = True
    requests: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/metrics"

    def handle(self, connection: socket.socket) -> None:
        """One connection: read the head of the request, answer, close."""
        with connection, contextlib.suppress(OSError):
            connection.settimeout(PATIENCE)
            head = b""
            while self.listens and b"\r\n\r\n" not in head:
                received = connection.recv(65536)
                if not received:
                    break
                head += received
            self.requests.append(head)
            self.answer(connection)


@contextlib.contextmanager
def raw_server(answer: Answer, *, listens: bool = True) -> Iterator[RawServer]:
    """Serve with `answer` on a free loopback port; every connection has a thread of its own."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        server = RawServer(listener.getsockname()[1], answer, listens)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=server.handle, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE)


def sends(*chunks: bytes) -> Answer:
    """Send these bytes as they are and close."""

    def answer(connection: socket.socket) -> None:
        for chunk in chunks:
            connection.sendall(chunk)

    return answer


def body(content: bytes, *headers: str, status: str = "200 OK") -> Answer:
    """A proper answer with this body."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", *headers, "", ""]
    return sends("\r\n".join(lines).encode() + content)


def capture(name: str) -> bytes:
    """The capture of that name, of those recorded from real servers."""
    return (Path(__file__).parent.parent / "captures" / f"{name}.prom").read_bytes()
