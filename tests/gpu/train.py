"""A small model that is really trained, its epochs counted by the client.

Says ``ready DEVICE`` with its memory on the device, trains when it is told to, says ``trained
EPOCHS``, and then keeps the device until its stdin is closed.
"""

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

import unitcost_client
from tests.gpu.loads import Sleep, import_torch

BATCH, FEATURES = 256, 512


def make_trainer() -> tuple[Callable[[int], None], str]:
    """A function that learns from batch number n, and the device it does so on."""
    torch = import_torch()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    layers = torch.nn.Linear(FEATURES, FEATURES), torch.nn.ReLU(), torch.nn.Linear(FEATURES, 1)
    model: Any = torch.nn.Sequential(*layers).to(device)
    optimiser: Any = torch.optim.AdamW(model.parameters(), lr=1e-3)
    data: Any = torch.randn(16, BATCH, FEATURES, device=device)

    def learn(number: int) -> None:
        batch = data[number % len(data)]
        loss = torch.nn.functional.mse_loss(model(batch).squeeze(1), batch.sum(1) / FEATURES)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        loss.item()  # waits for the device

    return learn, device


def steps_in(seconds: float, learn: Callable[[int], None]) -> int:
    """How many steps take about so long, after the first ones, which take longer."""
    for number in range(5):
        learn(number)
    began = time.monotonic()
    for number in range(10):
        learn(number)
    return max(1, round(seconds * 10 / (time.monotonic() - began)))


def main() -> None:
    """Train as the command line says."""
    parser = argparse.ArgumentParser(prog="train")
    parser.add_argument("--job", default="tiny")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--epoch-seconds", type=float, default=5.0)
    parser.add_argument("--work", choices=("torch", "sleep"), default="torch")
    options = parser.parse_args()
    sleep = Sleep()
    learn, device = (
        make_trainer() if options.work == "torch" else (lambda _: sleep.once(), sleep.device)
    )
    steps = steps_in(options.epoch_seconds, learn)
    print("ready", device, flush=True)
    if not sys.stdin.readline():
        return
    run = unitcost_client.start(options.job, total_epochs=options.epochs)
    for _ in range(options.epochs):
        for number in run.steps(range(steps)):
            learn(number)
        run.epoch()
    print("trained", options.epochs, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
