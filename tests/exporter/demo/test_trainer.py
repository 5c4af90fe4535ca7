"""The demo's training loop really learns, keeps to its share, and tells the client the truth."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from unitcost.exporter.demo.trainer import BATCH, LENGTH, Learner, Throttle
from unitcost.exporter.demo.transformer import Shape, load_weights

SMALL = Shape(layers=1, width=32, heads=2, hidden=64)


def test_an_epoch_is_every_sequence_once_in_a_new_order() -> None:
    learner = Learner(SMALL, steps=3)
    first, second = (np.concatenate(list(learner.batches())) for _ in range(2))
    assert first.shape == (3 * BATCH, LENGTH + 1)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(np.unique(first, axis=0), np.unique(second, axis=0))
    data = learner._data
    starts = range(0, 3 * BATCH * LENGTH, LENGTH)
    expected = np.unique(np.array([data[s : s + LENGTH + 1] for s in starts]), axis=0)
    np.testing.assert_array_equal(np.unique(first, axis=0), expected)


def test_the_loss_falls_from_epoch_to_epoch() -> None:
    learner = Learner(SMALL, steps=8)
    epochs = [np.mean([learner.learn(batch) for batch in learner.batches()]) for _ in range(5)]
    assert epochs == sorted(epochs, reverse=True)
    assert epochs[-1] < 3.5 < 4.5 < epochs[0]


def test_the_throttle_sleeps_for_what_was_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    spent = [0.0]
    slept: list[float] = []
    monkeypatch.setattr("time.process_time", lambda: spent[0])
    monkeypatch.setattr("time.sleep", slept.append)
    throttle = Throttle(0.25)
    for work in (0.1, 0.0, 0.2, 60.0):
        spent[0] += work
        throttle.pause()
    assert slept == pytest.approx([0.3, 0.0, 0.6, 1.0])  # never long enough to look dead


def test_epochs_steps_and_samples_reach_the_state_file(tmp_path: Path) -> None:
    state, weights = tmp_path / "state", tmp_path / "weights.npz"
    state.mkdir(mode=0o700)
    command = [sys.executable, "-m", "unitcost.exporter.demo.trainer"]
    options = ["--weights", str(weights), "--share", "1", "--epoch-seconds", "0.3", "--epochs", "2"]
    done = subprocess.run(
        [*command, *options],
        env={**os.environ, "UNITCOST_STATE_DIR": str(state), "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["epoch 1", "epoch 2"]
    steps = int(lines[0].split()[2])
    records = [json.loads(path.read_text()) for path in state.iterdir() if path.is_file()]
    assert len(records) == 1
    assert records[0]["epochs"] == 2
    assert records[0]["steps"] == 2 * steps
    assert records[0]["samples"] == 2 * steps * BATCH
    assert records[0]["tokens"] == 2 * steps * BATCH * LENGTH
    load_weights(weights, Shape())


@pytest.mark.parametrize("share", ["0", "-1", "1.5", "nan"])
def test_a_share_out_of_bounds_is_bad_usage(share: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "unitcost.exporter.demo.trainer", "--share", share],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 2
    assert "--share" in done.stderr
