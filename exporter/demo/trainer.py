"""The demo's training loop: a small language model learns, and tells `unitcost_client` of it.

It takes about `--share` of one core, by sleeping, and hands the weights on after each epoch.
``python -m unitcost.exporter.demo.trainer [--weights FILE]``.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import unitcost_client
from unitcost.exporter.demo import corpus
from unitcost.exporter.demo.backprop import Adam, loss_and_gradients
from unitcost.exporter.demo.transformer import Shape, Weights, new_weights, save_weights

JOB = "demo-train"
BATCH = 8
LENGTH = 64
MAX_STEPS = 60
"""Steps of an epoch on a fast machine; a slower one gets a smaller data set."""


class Throttle:
    """Sleeps so that this process uses about `share` of one core."""

    def __init__(self, share: float) -> None:
        """Count from now on; `share` is between 0 (not included) and 1."""
        self._share = share
        self._spent = time.process_time()

    def pause(self) -> None:
        """Sleep for what has been computed since the last call."""
        spent = time.process_time()
        time.sleep(min(1.0, (spent - self._spent) * (1 / self._share - 1)))
        self._spent = time.process_time()


class Learner:
    """The model in training: weights, optimiser and the order of the data."""

    def __init__(self, shape: Shape, steps: int, seed: int = 0) -> None:
        """Make a data set of `steps` batches and fresh weights."""
        self.shape = shape
        self.weights: Weights = new_weights(shape, seed)
        self._adam = Adam(self.weights)
        self._random = np.random.default_rng(seed)
        size = steps * BATCH * LENGTH
        self._data = np.frombuffer(corpus.text(size + 1, seed), np.uint8).astype(np.intp)

    def batches(self) -> Iterator[NDArray[np.intp]]:
        """Yield the whole data set once, in a new order each time."""
        starts = np.arange(0, len(self._data) - LENGTH, LENGTH)
        self._random.shuffle(starts)
        for chosen in starts.reshape(-1, BATCH):
            yield self._data[chosen[:, None] + np.arange(LENGTH + 1)]

    def learn(self, tokens: NDArray[np.intp]) -> float:
        """Take one step; return the loss before it, in nats a token."""
        loss, gradients = loss_and_gradients(self.weights, self.shape, tokens)
        self._adam.update(self.weights, gradients)
        return loss


def steps_for(seconds: float, share: float, shape: Shape) -> int:
    """Return how many throttled steps fit into `seconds` on this machine, at most MAX_STEPS.

    Two steps of a model that is thrown away are timed, the second counts.
    """
    probe, throttle = Learner(shape, 2), Throttle(share)
    took = 1.0
    for tokens in probe.batches():
        started = time.perf_counter()
        probe.learn(tokens)
        throttle.pause()
        took = time.perf_counter() - started
    return max(4, min(MAX_STEPS, int(seconds / took)))


def train(learner: Learner, throttle: Throttle, weights: Path | None, epochs: int) -> None:
    """Train for `epochs` epochs (0: until ended), one line of the loss for each."""
    run = unitcost_client.start(job=JOB)
    epoch = 0
    while not epochs or epoch < epochs:
        losses = []
        for tokens in learner.batches():
            losses.append(learner.learn(tokens))
            run.step(samples=BATCH, tokens=BATCH * LENGTH)
            throttle.pause()
        run.epoch()
        epoch += 1
        if weights is not None:
            save_weights(weights, learner.weights)
        print(
            f"epoch {epoch}: {len(losses)} steps, loss {sum(losses) / len(losses):.3f}", flush=True
        )


def main() -> int:
    """Train until ended, or for `--epochs`."""
    parser = argparse.ArgumentParser(description="A small training loop that reports its units.")
    parser.add_argument("--weights", type=Path, help="file to write the weights to, each epoch")
    parser.add_argument("--share", type=float, default=0.4, help="share of one core to use")
    parser.add_argument("--epoch-seconds", type=float, default=5.0, help="how long an epoch lasts")
    parser.add_argument("--epochs", type=int, default=0, help="end after so many (0: never)")
    args = parser.parse_args()
    if not 0 < args.share <= 1:
        parser.error("--share must be above 0 and at most 1")
    shape = Shape()
    steps = steps_for(args.epoch_seconds, args.share, shape)
    with suppress(KeyboardInterrupt):
        train(Learner(shape, steps), Throttle(args.share), args.weights, args.epochs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
