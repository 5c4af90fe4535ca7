"""What a run waits for, and for how long: data, checkpoints, slower ranks."""

import threading
import time

DATA_LOADING = "data_loading"
CHECKPOINT = "checkpoint"
KINDS = (DATA_LOADING, CHECKPOINT, "straggler")
NOTHING = ""

_SECOND = 1_000_000_000
_clock = time.perf_counter_ns


class Block:
    """An open block that declares a wait; `outer`: what was waited for before it."""

    __slots__ = ("outer",)

    def __init__(self, outer: str) -> None:
        self.outer = outer


class Waits:
    """What one thread waits for. Only that thread writes here, so nothing needs a lock."""

    __slots__ = ("blocks", "kind", "since", "spent")

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.kind = NOTHING
        self.since = 0
        self.spent: dict[str, int] = {}

    def add(self, kind: str, spent: int) -> None:
        """It has waited so many nanoseconds more."""
        self.spent[kind] = self.spent.get(kind, 0) + spent

    def switch(self, kind: str) -> str:
        """From now on it waits for `kind`; returns what it was waiting for until now.

        The order matters to a reader at the same time: it may see too little, never too much.
        """
        now = _clock()
        before, self.kind = self.kind, NOTHING
        if before:
            self.add(before, now - self.since)
        self.since = now
        self.kind = kind
        return before

    def enter(self, kind: str) -> Block:
        """A block begins in which it waits for `kind`; hand what is returned to `leave`."""
        block = Block(self.switch(kind))
        self.blocks.append(block)
        return block

    def leave(self, block: Block) -> None:
        """The block ends: it waits for what it waited for outside of it.

        Blocks of asyncio's tasks end in any order: one that is not the innermost leaves the wait
        to those inside of it.
        """
        at = self.blocks.index(block)
        del self.blocks[at]
        if at == len(self.blocks):
            self.switch(block.outer)
        else:
            self.blocks[at].outer = block.outer


class Stalls:
    """Nanoseconds waited so far by kind, over all threads; a kind never measured is absent."""

    def __init__(self) -> None:
        self._threads: dict[int, Waits] = {}
        self._said: dict[str, int] = {}

    def here(self) -> Waits:
        """Those of this thread."""
        return self._threads.setdefault(threading.get_ident(), Waits())

    def lap(self) -> tuple[int, int]:
        """Now, and how much this thread has waited for so far, whatever for; nanoseconds."""
        return _clock(), sum(self.here().spent.values())

    def open(self) -> bool:
        """Whether any thread is waiting."""
        return any(waits.kind for waits in list(self._threads.values()))

    def so_far(self) -> tuple[tuple[str, int], ...]:
        """All kinds measured, with whole seconds of waits in progress; never less than before."""
        found = dict.fromkeys(self._said, 0)
        for waits in list(self._threads.values()):
            for kind, spent in list(waits.spent.items()):
                found[kind] = found.get(kind, 0) + spent
            kind, since = waits.kind, waits.since
            waited = (_clock() - since) // _SECOND * _SECOND if kind else 0
            if waited > 0:
                found[kind] = found.get(kind, 0) + waited
        for kind, spent in found.items():
            self._said[kind] = max(spent, self._said.get(kind, 0))
        return tuple((kind, self._said[kind]) for kind in KINDS if kind in self._said)
