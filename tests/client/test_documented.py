"""docs/training.md says what the client does."""

import ast
import inspect
import json
import re
from pathlib import Path

import pytest

import unitcost_client


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    """The page."""
    return (root / "docs/training.md").read_text(encoding="utf-8")


def test_every_field_of_the_record_is_described_in_its_order(page: str, folder: Path) -> None:
    """And none that does not exist."""
    unitcost_client.start("mnist").end()
    (path,) = folder.glob("train-*.json")
    _, _, table = page.partition("| field | meaning |")
    described = re.findall(r"^\| `(\w+)` \|", table.partition("\n\n")[0], re.MULTILINE)
    assert described == list(json.loads(path.read_bytes()))


@pytest.mark.parametrize("name", ["docs/training.md", "client/README.md"])
def test_the_example_runs(root: Path, folder: Path, name: str) -> None:
    """As it stands: ten epochs of three batches."""
    text = (root / name).read_text(encoding="utf-8")
    example = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0]
    names = {"loader": range(3), "train_on": lambda batch: batch}
    exec(compile(ast.parse(example), name, "exec"), names)  # noqa: S102 - our own page
    names["run"].end()  # type: ignore[attr-defined]
    (path,) = folder.glob("train-*.json")
    record = json.loads(path.read_bytes())
    assert (record["steps"], record["epochs"]) == (30, 10)


@pytest.mark.parametrize("name", ["lightning", "huggingface", "keras", "ray"])
def test_every_adapter_is_on_the_page(page: str, name: str) -> None:
    """And there is none that is not."""
    folder = Path(unitcost_client.__file__).parent
    public = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")}
    assert public == {"lightning", "huggingface", "keras", "ray"}
    assert f"unitcost_client.{name}" in page


def test_every_public_call_is_in_the_table(page: str) -> None:
    """With the parameters it has."""
    public = [name for name in vars(unitcost_client.Run) if not name.startswith("_")]
    inner = {"aim", "lap", "before_fork", "after_fork_in_parent", "after_fork_in_child"}
    for name in set(public) - inner:
        assert re.search(rf"run\.{name}\b", page), name
    (signature,) = re.findall(r"^\| `start\((.*?)\)`", page, re.MULTILINE)
    described = [part.strip(" =") for part in signature.split(",")]
    assert described == list(inspect.signature(unitcost_client.start).parameters)
