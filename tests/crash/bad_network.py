"""A network between two programs that drops, cuts, delays, and says things twice."""

import random
import socket
import threading
import time
from collections import Counter
from contextlib import suppress
from enum import StrEnum

LONGEST_DELAY = 0.5
_PIECE = 65_536


class Fault(StrEnum):
    """What becomes of a connection."""

    NONE = "none"
    REFUSED = "refused"
    CUT_REQUEST = "cut_request"
    LOST_ANSWER = "lost_answer"
    HALF_CLOSED = "half_closed"
    TWICE = "twice"
    LATE = "late"


class BadNetwork:
    """Listens at `port` and forwards to another one; each connection has a fault by chance."""

    def __init__(self, target: int, seed: int) -> None:
        self.target, self.faults = target, Counter[Fault]()
        self._chance = random.Random(seed)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._threads: list[threading.Thread] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Listen no more; what is under way arrives."""
        self._socket.close()
        for thread in self._threads:
            thread.join(30)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            fault = self._chance.choice(list(Fault))
            self.faults[fault] += 1
            delay = self._chance.uniform(0, LONGEST_DELAY)
            thread = threading.Thread(target=self._serve, args=(client, fault, delay), daemon=True)
            thread.start()
            self._threads = [each for each in self._threads if each.is_alive()] + [thread]

    def _serve(self, client: socket.socket, fault: Fault, delay: float) -> None:
        with client, suppress(OSError):
            client.settimeout(20)
            if fault is Fault.REFUSED:
                return
            request = _read_request(client)
            if fault is Fault.CUT_REQUEST:
                self._ask(request[: len(request) // 2], wait=False)
                return
            if fault is Fault.LATE:
                # The client has long gone away when it arrives, after what it sent next.
                client.close()
                time.sleep(delay)
            answer = self._ask(request)
            if fault is Fault.TWICE:
                time.sleep(delay)
                answer = self._ask(request)
            if fault is Fault.HALF_CLOSED:
                client.shutdown(socket.SHUT_RD)
                answer = answer[: len(answer) // 2]
            if fault is not Fault.LOST_ANSWER:
                client.sendall(answer)

    def _ask(self, request: bytes, *, wait: bool = True) -> bytes:
        with socket.create_connection(("127.0.0.1", self.target), timeout=20) as server:
            server.sendall(request)
            parts: list[bytes] = []
            while wait and (part := server.recv(_PIECE)):
                parts.append(part)
            return b"".join(parts)


def _read_request(client: socket.socket) -> bytes:
    """A whole request; it says how long it is."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(client)
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [
        int(line.partition(b":")[2])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    ]
    while len(body) < sum(lengths):
        body += _some(client)
    return head + b"\r\n\r\n" + body


def _some(client: socket.socket) -> bytes:
    part = client.recv(_PIECE)
    if not part:
        raise ConnectionError
    return part
