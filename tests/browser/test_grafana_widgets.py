"""Every dashboard drawn by Grafana's own widgets, in a real browser, from a real Prometheus.

By flag: `UNITCOST_GRAFANA_UI` names a folder where `npm install --ignore-scripts
--legacy-peer-deps` was run on tests/browser/grafana/package.json (650 MB). Pictures of what was
drawn are left in `UNITCOST_PICTURES`, if that names a folder.
"""

import functools
import http.server
import json
import os
import shutil
import subprocess
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.dashboards.panels import BOARDS, Json, filled
from tests.e2e.dashboard_world import VALUES, World, dashboard_world
from tests.harness import get, wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

SOURCE = Path(__file__).parent / "grafana"
SPAN = 60
STEP = 2
NOTHING_TO_SHOW = {("unitcost-drift", "Drifts that are told now"): "Nothing drifts."}
"""Panels that are empty while all is well, and what they say then."""
DRAWN = {
    "timeseries": "canvas",
    "table": "[role=cell]",
    "stat": "[title], span",
}
"""What a panel of each type has inside once it shows something."""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def drawer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the page that draws."""
    packages = os.environ.get("UNITCOST_GRAFANA_UI", "")
    if not packages:
        pytest.skip("UNITCOST_GRAFANA_UI names no folder with Grafana's packages")
    folder = tmp_path_factory.mktemp("grafana")
    shutil.copytree(SOURCE, folder / "app")
    (folder / "node_modules").symlink_to(Path(packages) / "node_modules")
    build = [str(folder / "node_modules" / ".bin" / "vite"), "build", "app", "--outDir", "../out"]
    done = subprocess.run(build, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    handler = functools.partial(_Quiet, directory=str(folder / "out"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/index.html"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def drawings(
    tmp_path_factory: pytest.TempPathFactory, real_tool: Callable[[str], Path]
) -> dict[str, Json]:
    """Each dashboard with the answers to its queries over the last minute."""
    with dashboard_world(tmp_path_factory.mktemp("world"), real_tool("prometheus")) as world:
        time.sleep(SPAN)
        now = time.time()
        return {uid: _drawing(world, board, now) for uid, board in BOARDS.items()}


def _drawing(world: World, board: Json, now: float) -> Json:
    def answered(panel: Json) -> Json:
        targets = panel.get("targets", ())
        return panel | {"answers": {each["refId"]: _answer(world, each, now) for each in targets}}

    panels = [answered(panel) for panel in board["panels"]]
    return {"board": board | {"panels": panels}, "from": now - SPAN, "to": now, "step": STEP}


def _answer(world: World, target: Json, now: float) -> list[Json]:
    given: Json = {"query": filled(target["expr"], VALUES | {"__range": f"{SPAN}s"})}
    if target["instant"]:
        path, given = "query", given | {"time": now}
    else:
        path, given = "query_range", given | {"start": now - SPAN, "end": now, "step": STEP}
    asked = f"/api/v1/{path}?{urllib.parse.urlencode(given)}"
    status, text = get(world.prometheus.port, asked)
    assert status == 200, text
    found: list[Json] = json.loads(text)["data"]["result"]
    return found


def _draw(browser: "Browser", drawer: str, drawing: Json) -> tuple["Page", list[str]]:
    page = browser.new_page(viewport={"width": 1580, "height": 1000})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(drawer)
    page.wait_for_function("() => !!window.draw")
    page.evaluate("drawing => window.draw(drawing)", drawing)
    page.wait_for_selector("#board")
    return page, errors


def _is_there(shown: "Locator") -> bool:
    return shown.count() > 0


@pytest.mark.real
@pytest.mark.parametrize("uid", sorted(BOARDS))
def test_every_panel_is_drawn(
    uid: str, browser: "Browser", drawer: str, drawings: dict[str, Json]
) -> None:
    """None breaks, none is blank, and none is empty but those that are when all is well."""
    page, errors = _draw(browser, drawer, drawings[uid])
    for panel in drawings[uid]["board"]["panels"]:
        if panel["type"] not in DRAWN:
            continue
        inside = page.locator(f"[data-panel={json.dumps(panel['title'])}]")
        shown = inside.locator(f"{DRAWN[panel['type']]}, .empty").first
        wait_for(functools.partial(_is_there, shown), f"{uid} / {panel['title']}")
        empty = inside.locator(".empty").all_inner_texts()
        assert empty == [text for text in [NOTHING_TO_SHOW.get((uid, panel["title"]))] if text]
    assert page.locator(".broken").all_inner_texts() == []
    assert errors == []
    if pictures := os.environ.get("UNITCOST_PICTURES"):
        page.screenshot(path=f"{pictures}/{uid}.png", full_page=True)
