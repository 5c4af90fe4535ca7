"""The adapters with stand-ins for their frameworks: what they make of what these say."""

import importlib
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import unitcost_client
from unitcost_client._follower import Follower

Records = Callable[[], list[dict[str, Any]]]


def adapter(monkeypatch: pytest.MonkeyPatch, name: str, module: str, base: str) -> Any:
    """The adapter's module, on a framework of which there is nothing but a base class."""
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        stand_in: Any = ModuleType(".".join(parts[:depth]))
        setattr(stand_in, base, type(base, (), {}))
        monkeypatch.setitem(sys.modules, stand_in.__name__, stand_in)
    monkeypatch.delitem(sys.modules, f"unitcost_client.{name}", raising=False)
    return importlib.import_module(f"unitcost_client.{name}")


def lightning_trainer(**said: Any) -> Any:
    """A trainer of Lightning, as far as the adapter looks at it."""
    usual = {
        "global_step": 0,
        "world_size": 1,
        "global_rank": 0,
        "local_rank": 0,
        "estimated_stepping_batches": 16,
        "max_epochs": 2,
        "max_steps": -1,
        "save_checkpoint": print,
        "lightning_module": SimpleNamespace(automatic_optimization=True),
    }
    return SimpleNamespace(**{**usual, **said})


MANUAL = SimpleNamespace(automatic_optimization=False)


@pytest.mark.parametrize(
    ("said", "steps", "epochs"),
    [
        ({}, 16, 2),
        ({"estimated_stepping_batches": float("inf"), "max_epochs": -1}, None, None),
        ({"estimated_stepping_batches": 9, "max_steps": 9}, 9, None),
        ({"lightning_module": MANUAL}, None, 2),
        ({"lightning_module": MANUAL, "max_epochs": -1, "max_steps": 32}, 32, None),
        ({"lightning_module": MANUAL, "max_steps": 32}, None, None),
    ],
    ids=["epochs", "endless", "steps", "manual", "manual by steps", "manual by whichever is first"],
)
def test_where_lightning_will_end(
    records: Records,
    monkeypatch: pytest.MonkeyPatch,
    said: dict[str, Any],
    steps: int | None,
    epochs: int | None,
) -> None:
    """By hand a model makes as many updates a batch as it likes: Lightning's estimate is none."""
    module = adapter(monkeypatch, "lightning", "lightning.pytorch", "Callback")
    trainer, callback = lightning_trainer(**said), module.UnitcostCallback("mnist")
    callback.on_train_start(trainer, None)
    callback.teardown(trainer, None, "fit")
    (record,) = records()
    assert (record["total_steps"], record["total_epochs"]) == (steps, epochs)


@pytest.mark.parametrize(
    "optimizer",
    [
        SimpleNamespace(iterations=4, gradient_accumulation_steps=2),
        SimpleNamespace(
            iterations=4,
            gradient_accumulation_steps=None,
            inner_optimizer=SimpleNamespace(gradient_accumulation_steps=2),
        ),
    ],
    ids=["plain", "mixed precision"],
)
def test_keras_is_not_asked_for_its_model_within_an_epoch(
    records: Records, monkeypatch: pytest.MonkeyPatch, optimizer: Any
) -> None:
    """On JAX that takes the state away from the training, which then fails."""
    module = adapter(monkeypatch, "keras", "keras.callbacks", "Callback")
    model = SimpleNamespace(optimizer=optimizer)
    asked: list[str] = []

    base: Any = module.UnitcostCallback

    class Watched(base):  # type: ignore[misc]  # made of a stand-in
        params = {"epochs": 3, "steps": 10}  # noqa: RUF012

        @property
        def model(self) -> Any:
            asked.append("model")
            return model

    callback = Watched("mnist")
    callback.on_train_begin()
    callback.on_epoch_begin(0)
    asked.clear()
    for batch in range(10):
        callback.on_train_batch_end(batch)
    assert asked == []
    assert callback.run.reached == (9, 0)
    model.optimizer.iterations = 9
    callback.on_epoch_end(0)
    callback.on_train_end()
    (record,) = records()
    assert (record["resumed_step"], record["steps"], record["epochs"]) == (4, 9, 1)
    assert record["total_steps"] == 4 + 15


def test_a_training_that_begins_anew_has_another_goal(records: Records) -> None:
    """With half the batch Hugging Face takes twice the steps, after those it had done."""
    follower = Follower("mnist", None, None)
    follower.begin(0, 0, total_steps=100, total_epochs=2)
    follower.reach(3, 0.5)
    follower.begin(0, 0, total_steps=2**53 - 1, total_epochs=2)
    follower.begin(0, 0, total_steps=200, total_epochs=2)
    follower.end()
    own = unitcost_client.start("sweep", total_steps=7)
    follower = Follower("unused", own, None)
    follower.begin(0, 0, total_steps=200, total_epochs=2)
    own.end()
    first, second = records()
    assert (first["total_steps"], first["total_epochs"]) == (203, 2.5)
    assert (second["total_steps"], second["total_epochs"]) == (7, None)


@pytest.mark.parametrize(
    ("trial", "run"),
    [
        (lambda: "ab12c_00000", "sweep"),
        (lambda: "ab12c_00003", "sweep#4"),
        (lambda: "9f8e7d6c", "sweep#9f8e7d6c"),
        (lambda: None, "sweep"),
        (lambda: 1 / 0, "sweep"),
    ],
    ids=["the only one", "the fourth", "of a search", "none", "version 2 of Ray Train"],
)
def test_each_trial_of_ray_tune_is_a_run(
    records: Records, monkeypatch: pytest.MonkeyPatch, trial: Callable[[], Any], run: str
) -> None:
    """They share the experiment's name, and train side by side."""
    import unitcost_client.ray

    stand_in: Any = ModuleType("ray.train")
    context = SimpleNamespace(get_experiment_name=lambda: "sweep", get_trial_id=trial)
    stand_in.get_context = lambda: context
    monkeypatch.setitem(sys.modules, "ray", ModuleType("ray"))
    monkeypatch.setitem(sys.modules, "ray.train", stand_in)
    unitcost_client.ray.start("mnist").end()
    (record,) = records()
    assert record["run"] == run


@pytest.mark.parametrize("context", [SimpleNamespace(), SimpleNamespace(get_experiment_name=3)])
def test_a_ray_that_cannot_say_the_experiment(
    records: Records, monkeypatch: pytest.MonkeyPatch, context: Any
) -> None:
    """Then the run is called as everywhere; the job starts all the same."""
    import unitcost_client.ray

    stand_in: Any = ModuleType("ray.train")
    stand_in.get_context = lambda: context
    monkeypatch.setitem(sys.modules, "ray", ModuleType("ray"))
    monkeypatch.setitem(sys.modules, "ray.train", stand_in)
    unitcost_client.ray.start("mnist").end()
    (record,) = records()
    assert (record["job"], record["rank"], record["world_size"]) == ("mnist", 0, 1)
