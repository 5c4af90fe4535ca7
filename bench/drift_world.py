"""A server over weeks, with a day's and a week's shape, into which a drift can be put.

Request sizes are those of a real trace (UNITCOST_TRACES names the folder with
azure_llm_inference_2023_conv.csv), drawn at random, or log-normal ones of the same mean and spread.
Load, and how long requests are, also wander from day to day. Slots are of five minutes.
"""

import csv
import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unitcost.pricing.drift import Sums
from unitcost.pricing.drift_watch import DAY_SLOTS, SLOTS_PER_HOUR, WEEK_SLOTS

TRACE = "azure_llm_inference_2023_conv.csv"
MEANS, SPREADS = (1154.7, 211.1), (0.96, 0.77)
"""Input and output tokens of a request in that trace: mean, and spread as a part of it."""
SECONDS_PER_TOKEN = (2e-4, 1e-2)
SECOND = 1e9
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Change:
    """`factor` grows to `size` times what it was, from slot `at` on, over `ramp` slots."""

    factor: str
    at: int
    size: float
    ramp: int = 0


@dataclass(frozen=True)
class Server:
    """`requests` in the quietest five minutes, and how busy it is on the whole."""

    requests: float
    busy: float


def sizes(rng: np.random.Generator) -> tuple[Floats, Floats, str]:
    """Input and output tokens of many requests, and where they are from."""
    path = Path(os.environ.get("UNITCOST_TRACES", "/nonexistent")) / TRACE
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            rows = [(float(row[1]), float(row[2])) for row in list(csv.reader(file))[1:]]
        both = np.array(rows)
        return both[:, 0], both[:, 1], TRACE
    drawn = []
    for mean, spread in zip(MEANS, SPREADS, strict=True):
        sigma = math.sqrt(math.log(1 + spread**2))
        drawn.append(rng.lognormal(math.log(mean) - sigma**2 / 2, sigma, 20_000))
    return drawn[0], drawn[1], "log-normal sizes"


def weeks_of(
    rng: np.random.Generator,
    server: Server,
    tokens: tuple[Floats, Floats],
    weeks: int,
    change: Change | None = None,
) -> list[Sums]:
    """What each slot of some weeks came to."""
    slots = np.arange(weeks * WEEK_SLOTS)
    hour = slots % DAY_SLOTS / SLOTS_PER_HOUR
    weekday = slots // DAY_SLOTS % 7
    shape = (1 + 0.5 * np.sin((hour - 8) / 24 * 2 * np.pi)) * np.where(weekday >= 5, 0.7, 1.0)
    grown = {name: np.ones(len(slots)) for name in FACTORS}
    if change is not None:
        part = np.clip((slots - change.at + 1) / max(change.ramp, 1), 0, 1)
        grown[change.factor] = 1 + (change.size - 1) * part
    load = server.requests * shape / shape.min() * _days(rng, slots, 0.10)
    load = load * np.exp(rng.normal(0, 0.03, len(slots))) / grown["load"]
    longer = (1 + 0.1 * np.sin((hour - 3) / 24 * 2 * np.pi)) * _days(rng, slots, 0.03)
    typical = (server.requests * shape / shape.min()).mean()
    seconds = sum(
        each * sizes_.mean() for each, sizes_ in zip(SECONDS_PER_TOKEN, tokens, strict=True)
    )
    held = typical * seconds / server.busy * grown["idle"]
    efficiency = (load / typical) ** -0.05  # a fuller batch costs each request a little less
    return [
        _slot(
            rng,
            tokens,
            float(load[i]),
            float(longer[i] * grown["mix"][i]),
            float(efficiency[i] * grown["speed"][i]),
            float(held[i]),
            float(grown["price"][i]),
            1 - 0.99 / float(grown["failures"][i]),
        )
        for i in range(len(slots))
    ]


FACTORS = ("price", "mix", "failures", "speed", "idle", "load")


def _days(rng: np.random.Generator, slots: NDArray[np.int_], spread: float) -> Floats:
    """A level that wanders from one midnight to the next."""
    days = len(slots) // DAY_SLOTS
    levels = rng.normal(1, spread, days + 1).clip(0.6, 1.4)
    found: Floats = np.interp(slots / DAY_SLOTS, np.arange(days + 1), levels)
    return found


def _slot(
    rng: np.random.Generator,
    tokens: tuple[Floats, Floats],
    load: float,
    longer: float,
    slower: float,
    held: float,
    price: float,
    failing: float,
) -> Sums:
    """Five minutes: who comes while the server is full is served later, and not counted here."""
    count = int(rng.poisson(load))
    drawn = rng.integers(0, len(tokens[0]), count)
    work = [float(each[drawn].sum()) * longer for each in tokens]
    phases = [
        each * tokens_ * slower * math.exp(rng.normal(0, 0.01))
        for each, tokens_ in zip(SECONDS_PER_TOKEN, work, strict=True)
    ]
    over = max(1.0, sum(phases) / (held * 0.98))
    count, active = int(count / over), sum(phases) / over
    failed = int(rng.binomial(count, failing))
    return Sums(
        cost=int(held * price * SECOND),
        active=int(active * SECOND),
        idle=int((held - active) * SECOND),
        attempted=count * 10**6,
        succeeded=(count - failed) * 10**6,
        input=int(work[0] / over * 10**6),
        output=int(work[1] / over * 10**6),
        prefill=int(phases[0] / over * 10**6),
        decode=int(phases[1] / over * 10**6),
    )
