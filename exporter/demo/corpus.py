"""The text the demo's model learns: sentences about machines and money, made by a small grammar."""

import random

_THINGS = (
    "the model server", "the training job", "an idle machine", "the night batch", "a busy core",
    "the cache", "a long prompt", "a short answer", "the last epoch", "the first request",
)  # fmt: skip
_VERBS = (
    "costs", "uses", "holds", "wastes", "shares", "gives back", "pays for", "waits for",
)  # fmt: skip
_OBJECTS = (
    "half of the host", "two cores", "more than it earns", "what it reserved", "memory all night",
    "a cent an hour", "every second of the clock", "the time nobody uses",
)  # fmt: skip
_ENDS = (
    "and somebody pays", "and the sum stays exact", "while it is idle", "until the work is done",
    "as the meter shows", "whether used or not",
)  # fmt: skip


def sentences(count: int, seed: int = 0) -> list[str]:
    """Return `count` sentences, the same ones for the same `seed`."""
    pick = random.Random(seed).choice  # noqa: S311 - text, not a secret
    return [
        f"{pick(_THINGS)} {pick(_VERBS)} {pick(_OBJECTS)} {pick(_ENDS)}.".capitalize()
        for _ in range(count)
    ]


def text(size: int, seed: int = 0) -> bytes:
    """Return exactly `size` bytes of sentences, one a line."""
    lines = "\n".join(sentences(size // 40 + 1, seed)) + "\n"
    return lines.encode("ascii")[:size]
