"""A small HTTP server on loopback that takes POSTs, and cannot be held up by anybody.

One thread accepts and reads; a second one looks at what was posted. Everything is bounded: heads,
bodies, connections, and the time from connecting to the answer. One connection too many closes
the oldest that was answered, else the oldest that has not yet sent a whole request.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus

ADDRESS = "127.0.0.1"
MAX_HEAD = 16 * 1024
MAX_HEADERS = 64
MAX_BODY = 64 * 1024
MAX_CONNECTIONS = 64
EXCHANGE_SECONDS = 5.0
"""Longest time from connecting to the answer: the callback gives up after as long."""
STOP_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Post:
    """What was posted, and the port that it came from; names of headers are in lower case."""

    target: str
    headers: dict[str, str]
    body: bytes
    peer_port: int


class Refused(Exception):
    """The request is not taken; `status` says why to the client."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


Take = Callable[[Post], None]
"""Takes a post, in the second thread. Raises Refused; anything else is an internal error."""


@dataclass(slots=True)
class SinkServer:
    """Serves until closed. `check` sees each head before its body is read, and may refuse it."""

    port: int
    check: Callable[[str, dict[str, str]], None]
    take: Take
    refused: Callable[[HTTPStatus, str], None]
    bound: int = 0
    _loop: asyncio.AbstractEventLoop | None = None
    _stop: asyncio.Event | None = None
    _thread: threading.Thread | None = None
    _reading: dict["asyncio.Task[None]", asyncio.StreamWriter] = field(default_factory=dict)
    _answered: dict["asyncio.Task[None]", asyncio.StreamWriter] = field(default_factory=dict)
    _posting: int = 0

    def start(self) -> None:
        """Listen and serve. Raises OSError where the port cannot be had."""
        sock = socket.create_server((ADDRESS, self.port), backlog=128)
        self.bound = sock.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(
            target=self._run, args=(sock, self._loop, self._stop), name="training-sink", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop serving; connections are closed."""
        if self._loop is None or self._stop is None or self._thread is None:
            return
        with contextlib.suppress(RuntimeError):  # it has ended already
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(STOP_SECONDS)

    def _run(
        self, sock: socket.socket, loop: asyncio.AbstractEventLoop, stop: asyncio.Event
    ) -> None:
        with sock, contextlib.closing(loop), ThreadPoolExecutor(1, "training-sink-post") as worker:
            loop.set_default_executor(worker)
            loop.run_until_complete(self._serve(sock, stop))

    async def _serve(self, sock: socket.socket, stop: asyncio.Event) -> None:
        server = await asyncio.start_server(self._connected, sock=sock, limit=MAX_HEAD)
        await stop.wait()
        server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        if not self._has_room():
            writer.transport.abort()
            return
        self._reading[task] = writer
        try:
            async with asyncio.timeout(EXCHANGE_SECONDS):
                await self._exchange(task, reader, writer)
        except (OSError, TimeoutError, asyncio.CancelledError, EOFError):
            pass  # it was too slow, or is gone: there is nobody to tell
        finally:
            self._reading.pop(task, None)
            self._answered.pop(task, None)
            writer.transport.abort()

    def _has_room(self) -> bool:
        """Whether there is room for one more, if need be after closing another."""
        if len(self._reading) + len(self._answered) + self._posting < MAX_CONNECTIONS:
            return True
        for waiting in (self._answered, self._reading):
            if waiting:
                waiting.pop(next(iter(waiting))).transport.abort()
                return True
        return False

    async def _exchange(
        self,
        task: "asyncio.Task[None]",
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Read one request, answer it, close."""
        status = HTTPStatus.OK
        try:
            post = await self._read(reader, writer)
            self._reading.pop(task, None)
            await self._post(post)
        except Refused as refused:
            status = refused.status
            self.refused(status, str(refused))
        except (OSError, EOFError):
            raise
        except Exception as error:  # noqa: BLE001 - else each such post would fill the log
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            self.refused(status, f"{type(error).__name__} in the sink")
        answer = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Length: 0\r\n"
        writer.write(f"{answer}Connection: close\r\n\r\n".encode("ascii"))
        await writer.drain()
        writer.write_eof()
        self._reading.pop(task, None)
        self._answered[task] = writer
        # A close with bytes unread would be a reset, which may overtake the answer.
        while await reader.read(MAX_HEAD):
            pass

    async def _post(self, post: Post) -> None:
        """Have it taken in the second thread."""
        self._posting += 1
        try:
            await asyncio.get_running_loop().run_in_executor(None, self.take, post)
        finally:
            self._posting -= 1

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Post:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            raise Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "a head too large") from None
        target, headers = parse_head(head)
        self.check(target, headers)
        body = await reader.readexactly(body_length(headers))
        return Post(target, headers, body, writer.get_extra_info("peername")[1])


def parse_head(head: bytes) -> tuple[str, dict[str, str]]:
    """Target and headers of a POST. Raises Refused for anything that is not one."""
    lines = head.decode("latin-1").split("\r\n")[:-2]
    words = lines[0].split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise Refused(HTTPStatus.BAD_REQUEST, "not HTTP/1")
    if words[0] != "POST":
        raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "not a POST")
    if len(lines) - 1 > MAX_HEADERS:
        raise Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "too many headers")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip() or name.lower() in headers:
            raise Refused(HTTPStatus.BAD_REQUEST, "an odd or repeated header")
        headers[name.lower()] = value.strip()
    return words[1], headers


def body_length(headers: dict[str, str]) -> int:
    """How long the body is. Raises Refused where that is not said, or is too much."""
    length = headers.get("content-length", "")
    if "transfer-encoding" in headers or not length:
        raise Refused(HTTPStatus.LENGTH_REQUIRED, "no Content-Length")
    if not length.isascii() or not length.isdigit() or len(length) > 18:
        raise Refused(HTTPStatus.BAD_REQUEST, "the Content-Length is no number")
    if int(length) > MAX_BODY:
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "a body too large")
    return int(length)
