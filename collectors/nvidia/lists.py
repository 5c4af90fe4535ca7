"""Lists that the driver fills, read with one call each where the binding makes two.

The binding first asks how long a list is. Here the room of the last time is offered at once, and
enlarged when the driver says that it is too small.
"""

import ctypes
from collections.abc import Callable, Iterator
from typing import Any

from unitcost.collectors.nvidia.binding import Code, Fault, Nvml

MAX_ITEMS = 3_000
"""No device has more processes or samples; a driver that says so is not believed."""

_TRIES = 3  # processes may begin while we enlarge the room

Fill = Callable[[Any, Any], int]
"""Calls the driver with an array and a count (c_uint, to be passed by reference)."""


class Buffer:
    """Room for items of one type of structure."""

    def __init__(self, nvml: Nvml, call: str, type_: Any, room: int = 32) -> None:
        self._nvml, self._call, self._type = nvml, call, type_
        self._array = (type_ * room)()

    def fill(self, fill: Fill) -> Iterator[Any]:
        """The items that `fill` had the driver write; valid until the next time.

        Raises Fault; that there is nothing (NotFound) is none.
        """
        count = ctypes.c_uint(len(self._array))
        code = fill(self._array, count)
        for _ in range(_TRIES):
            if code != Code.INSUFFICIENT_SIZE:
                break
            self._grow(count.value)
            count.value = len(self._array)
            code = fill(self._array, count)
        if code == Code.NOT_FOUND:
            return iter(())
        if code != Code.SUCCESS:
            raise self._nvml.fault(self._call, code)
        return iter(self._array[: min(count.value, len(self._array))])

    def _grow(self, wanted: int) -> None:
        room = max(2 * wanted, 2 * len(self._array))
        if wanted > MAX_ITEMS:
            raise Fault(self._call, "garbage", detail=f"more than {MAX_ITEMS} items")
        self._array = (self._type * min(room, MAX_ITEMS))()
