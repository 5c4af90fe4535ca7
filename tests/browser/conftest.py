"""One real Chromium for all tests of the live page, and pages that watch what they ask for."""

import importlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness import wait_for
from tests.live_hosts import Served, Watched
from unitcost.exporter.serving.web import WebFile, WebServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

OPTIONS = (
    "--no-sandbox",  # root in a container has no other way
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def browser(real_tool: Callable[[str], Path]) -> Iterator["Browser"]:
    """Chromium as the distribution has it; where it or playwright is missing, see `real_tool`.

    Not for the whole session: while playwright is up, nobody else can have an event loop here.
    """
    chromium = real_tool("chromium")
    try:
        playwright: Any = importlib.import_module("playwright.sync_api")
    except ImportError:
        if os.environ.get("UNITCOST_REQUIRE_REAL") == "1":
            pytest.fail("playwright is not installed")
        pytest.skip("playwright is not installed")
    with playwright.sync_playwright() as running:
        launched = running.chromium.launch(executable_path=str(chromium), args=list(OPTIONS))
        yield launched
        launched.close()


@dataclass
class Opened:
    """A page in the browser, and all that it said and asked for."""

    page: "Page"
    base: str
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def text(self, selector: str) -> str:
        """What a reader sees there."""
        return self.page.inner_text(selector)

    def wait_for(self, expression: str, argument: object = None) -> None:
        """Until it is true in the page, whose policy forbids playwright's own way to wait."""
        wait_for(lambda: self.page.evaluate(expression, argument), expression)

    def ask_now(self) -> None:
        """Have the page poll at once, as it does when somebody looks at it again."""
        self.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    def check_quiet(self) -> None:
        """Nothing went wrong in it, and nothing was asked of any other host."""
        assert self.said == []
        assert [each for each in self.asked if not each.startswith((self.base, "data:"))] == []


Show = Callable[..., Opened]


@pytest.fixture
def show(browser: "Browser") -> Iterator[Show]:
    """``show(base, width=400, ...)``: the page of the exporter at `base`, once it has figures."""
    contexts = []

    def opened(base: str, width: int = 1600, ready: str = "#tiles .tile", **options: Any) -> Opened:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        found = Opened(context.new_page(), base)
        found.page.on("console", lambda message: found.said.append(message.text))
        found.page.on("pageerror", lambda error: found.said.append(str(error)))
        found.page.on("dialog", lambda dialog: found.said.append(f"dialog {dialog.message}"))
        context.on("request", lambda request: found.asked.append(request.url))
        found.page.goto(f"{base}/")
        found.page.wait_for_selector(ready)
        return found

    yield opened
    for context in contexts:
        context.close()


@contextmanager
def served(watched: Watched, web: WebFile | None = None) -> Iterator[tuple[str, Served, WebServer]]:
    """A web server for what is watched: its address, and what it serves. It is up to date."""
    source = Served.of(watched)
    present = replace(source.now.snapshot, wall_ns=time.time_ns())
    source.now = replace(source.now, snapshot=present)
    server = WebServer("127.0.0.1", 0, source, web)
    scheme = web.current().scheme if web else "http"
    port = server.start()
    try:
        yield f"{scheme}://127.0.0.1:{port}", source, server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def hosts() -> Callable[[Callable[[int], Watched]], Watched]:
    """Hosts that end at the present, each lived through once."""
    known: dict[Any, Watched] = {}

    def of(host: Callable[[int], Watched]) -> Watched:
        if host not in known:
            known[host] = host(time.time_ns())
        return known[host]

    return of
