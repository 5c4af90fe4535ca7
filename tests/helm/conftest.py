"""A real Helm, and the chart as ./dev chart makes it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helm.charts import Charts, made


@pytest.fixture(scope="session")
def charts(
    real_tool: Callable[[str], Path], root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Charts:
    """Renders the chart; every answer is kept, for many tests look at the same."""
    return Charts(real_tool("helm"), made(root, tmp_path_factory.mktemp("chart")))


@pytest.fixture(scope="session")
def beside(charts: Charts, tmp_path_factory: pytest.TempPathFactory) -> Charts:
    """Somebody's own chart, which has ours as a part and puts the agent beside its server."""
    folder = tmp_path_factory.mktemp("beside") / "chat"
    shutil.copytree(Path(__file__).parent / "pod", folder)
    shutil.copytree(charts.folder, folder / "charts" / "unitcost")
    return Charts(charts.helm, folder)
