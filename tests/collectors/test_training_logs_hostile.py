"""Logs of training as other users can write them: none costs another job its counts."""

from pathlib import Path

import pytest

from tests.collectors.test_training_logs import (
    NOW,
    Clock,
    counts,
    logs,
    read,
    state,
    write,
)


@pytest.fixture
def clock() -> Clock:
    """At `NOW`."""
    return Clock()


@pytest.mark.parametrize(
    ("field", "steps", "kinds"),
    [
        ("global_step", 5, ["corrupt"]),
        ("max_steps", 9, []),
        ("num_input_tokens_seen", 9, []),
    ],
)
def test_a_whole_number_without_end_is_none_there_was(
    clock: Clock, tmp_path: Path, field: str, steps: int, kinds: list[str]
) -> None:
    """JSON sets no limit, and a float has one."""
    collector = logs(clock, tmp_path)
    write(clock, tmp_path / "checkpoint-5" / "trainer_state.json", state(5, 1.0))
    huge = f'{{"global_step": 9, "{field}": 1{"0" * 400}}}'
    write(clock, tmp_path / "checkpoint-9" / "trainer_state.json", huge)
    reading = read(collector)
    assert [problem.kind for problem in reading.problems] == kinds
    assert counts(reading)["steps"] == steps


def test_a_state_with_values_that_are_no_numbers_is_read(clock: Clock, tmp_path: Path) -> None:
    """Python writes NaN and Infinity as they are: the norm of gradients with float16, a loss."""
    text = '{"epoch": 0.5, "global_step": 5, "log_history": [{"grad_norm": NaN}, {"a": -Infinity}]}'
    write(clock, tmp_path / "checkpoint-5" / "trainer_state.json", text)
    reading = read(logs(clock, tmp_path))
    assert reading.problems == ()
    assert counts(reading) == {"steps": 5, "epochs": 0.5}
