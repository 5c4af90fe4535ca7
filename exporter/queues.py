"""What a thread hands to the tick: taken out all at once, and never waited for."""

from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")


def drained(queue: SimpleQueue[T]) -> list[T]:
    """All that lies in a queue now, oldest first."""
    found: list[T] = []
    while True:
        try:
            found.append(queue.get_nowait())
        except Empty:
            return found
