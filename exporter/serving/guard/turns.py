"""Slow work in few threads, for clients that take turns, so that none keeps others waiting."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


class Busy(Exception):
    """Too much waits already, or it waited too long."""


class Turns:
    """At most `threads` pieces of work at once and `limit` waiting; for one event loop.

    Those that wait are taken in turn, one of each client after the other. Where too many wait,
    the last of the client that has most of them gives way.
    """

    def __init__(self, threads: int, limit: int, seconds: float) -> None:
        """Nothing waits longer than `seconds`. Threads start with the first work."""
        self._threads, self._limit, self._seconds = threads, limit, seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._ended = False
        self._running: set[asyncio.Future[Any]] = set()
        self._slots = threads
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    async def run(self, client: str, work: Callable[[], T]) -> T:
        """What `work` returns, run in a thread. Raises Busy."""
        if self._ended:
            raise Busy
        self._loop = asyncio.get_running_loop()
        if self._slots == 0:
            await self._wait(client)
        else:
            self._slots -= 1
        try:
            return await self._do(work)
        finally:
            self._pass_on()

    def close(self) -> None:
        """Whatever waits or runs is busy; from any thread. What a thread is at goes to its end."""
        if self._loop is not None:
            with suppress(RuntimeError):  # it has already stopped
                self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        self._ended = True
        while self._waiting:
            self._turn_away()
        for doing in self._running:
            doing.cancel()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    async def _do(self, work: Callable[[], T]) -> T:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="web-password")
        doing = asyncio.get_running_loop().run_in_executor(self._pool, work)
        self._running.add(doing)
        try:
            return await doing
        except asyncio.CancelledError:
            if self._ended:
                raise Busy from None
            raise
        finally:
            self._running.discard(doing)

    async def _wait(self, client: str) -> None:
        """Until it is this one's turn; whoever is done leaves it its slot."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client, deque()).append(turn)
        if sum(map(len, self._waiting.values())) > self._limit:
            self._turn_away()
        try:
            async with asyncio.timeout(self._seconds):
                await turn
        except (TimeoutError, Busy, asyncio.CancelledError) as error:
            self._forget(client, turn)
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._pass_on()  # its turn came as it gave up
            if isinstance(error, TimeoutError):
                raise Busy from None
            raise

    def _turn_away(self) -> None:
        client, longest = max(self._waiting.items(), key=lambda item: len(item[1]))
        turn = longest.pop()
        if not longest:
            del self._waiting[client]
        if not turn.done():
            turn.set_exception(Busy())

    def _forget(self, client: str, turn: asyncio.Future[None]) -> None:
        waiting = self._waiting.get(client)
        if waiting is not None:
            with suppress(ValueError):
                waiting.remove(turn)
            if not waiting:
                del self._waiting[client]

    def _pass_on(self) -> None:
        """The slot of one that is done is that of whose turn is next, or free."""
        while self._waiting:
            client, waiting = next(iter(self._waiting.items()))
            turn = waiting.popleft()
            if waiting:
                self._waiting.move_to_end(client)
            else:
                del self._waiting[client]
            if not turn.done():
                turn.set_result(None)
                return
        self._slots += 1
