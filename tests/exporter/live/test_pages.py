"""How the live page and its document are served: cheaply, and with nothing that could run in it."""

import base64
import gzip
import hashlib
import html.parser
import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tests.exporter.live.agreement import check
from tests.exporter.web_source import FakeSource, ask, serving
from tests.harness import parse
from unitcost.exporter.clock import SystemClock
from unitcost.exporter.config.load import loads
from unitcost.exporter.exporter import Exporter
from unitcost.exporter.ledger.keeper import Keeper
from unitcost.exporter.serving.live import document
from unitcost.exporter.serving.live.history import History
from unitcost.exporter.serving.live.shape import Live
from unitcost.exporter.serving.live.view import View
from unitcost.exporter.serving.page.assemble import SCRIPTS, assemble, lean
from unitcost.exporter.serving.pages import LIVE, is_known

MAX_PAGE_BYTES = 64_000


@pytest.fixture
def source() -> FakeSource:
    """What is served."""
    return FakeSource()


@pytest.fixture
def port(source: FakeSource) -> Iterator[int]:
    """Where."""
    with serving(source) as free:
        yield free


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ticks whose document was made."""
    ticks: list[int] = []
    encode = document.encode

    def counting(view: View) -> bytes:
        ticks.append(view.tick)
        return encode(view)

    monkeypatch.setattr(document, "encode", counting)
    return ticks


def test_the_document_is_made_once_a_tick_and_only_when_asked_for(
    source: FakeSource, port: int, made: list[int]
) -> None:
    """Scrapes and health checks make none."""
    ask(port)
    ask(port, "/-/ready")
    assert made == []
    for _ in range(3):
        ask(port, LIVE)
    ask(port, LIVE, accept_encoding="gzip")
    source.view = replace(source.view, tick=2)
    source.view = replace(source.view, tick=3)
    ask(port, LIVE)
    assert made == [1, 3]


@pytest.mark.parametrize("path", ["/", LIVE])
def test_what_the_browser_has_already_is_not_sent_again(
    source: FakeSource, port: int, made: list[int], path: str
) -> None:
    """304 without a body, and without making one."""
    status, headers, body = ask(port, path)
    assert (status, headers["cache-control"]) == (200, "no-cache")
    made.clear()
    source.view = replace(source.view)
    again, same, nothing = ask(port, path, if_none_match=headers["etag"])
    assert (again, nothing, same["etag"]) == (304, b"", headers["etag"])
    assert "content-length" not in same
    assert made == []
    assert ask(port, path, if_none_match='W/"other"')[::2] == (200, body)
    assert ask(port, path, "HEAD", if_none_match=headers["etag"])[0] == 304
    assert ask(port, path, "POST", if_none_match=headers["etag"])[0] == 405


def test_a_new_tick_and_a_new_process_have_names_of_their_own(
    source: FakeSource, port: int
) -> None:
    """So no browser goes on with what another process said."""
    names = [ask(port, LIVE)[1]["etag"]]
    for tick, started in ((2, 1), (1, 2), (2, 2)):
        source.view = replace(source.view, tick=tick, started_ns=started)
        names.append(ask(port, LIVE)[1]["etag"])
    assert len(set(names)) == 4


@pytest.mark.parametrize(
    ("value", "known"),
    [
        ('W/"1-2"', True),
        ('"1-2"', True),
        ('"x", W/"1-2"', True),
        ("*", True),
        ('W/"1-20"', False),
        ("1-2", False),
        ("", False),
        (",", False),
    ],
)
def test_which_names_are_known(value: str, known: bool) -> None:
    """RFC 9110, 13.1.2: weak comparison."""
    assert is_known([(b"if-none-match", value.encode())], 'W/"1-2"') is known


@pytest.mark.parametrize("path", ["/", LIVE])
def test_both_are_compressed_for_who_reads_that(port: int, path: str) -> None:
    """The same bytes, unpacked."""
    _, headers, body = ask(port, path)
    assert headers["vary"] == "accept-encoding"
    status, packed, zipped = ask(port, path, accept_encoding="gzip")
    assert (status, packed["content-encoding"]) == (200, "gzip")
    assert gzip.decompress(zipped) == body
    assert packed["etag"] == headers["etag"]


def test_a_document_that_cannot_be_made_harms_nothing_else(
    source: FakeSource, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """500, and the scrape goes on."""

    def broken(view: View) -> bytes:
        raise RuntimeError(f"tick {view.tick}")

    monkeypatch.setattr(document, "encode", broken)
    assert ask(port, LIVE)[0] == 500
    assert ask(port)[0] == 200
    assert ask(port, "/")[0] == 200


# --- The page -----------------------------------------------------------------------------


class Elements(html.parser.HTMLParser):
    """The tags of a page with their attributes, and what style and script hold."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, str] = {}
        self._tag = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.found.append((tag, dict(attrs)))
        self._tag = tag

    def handle_data(self, data: str) -> None:
        """Note what raw elements hold."""
        if self._tag in ("style", "script"):
            self.inside[self._tag] = self.inside.get(self._tag, "") + data
        self._tag = ""


@pytest.fixture
def page() -> tuple[str, Elements, dict[str, str]]:
    """The page, taken apart, and its policy by directive."""
    text = assemble().body.decode()
    policy = dict(assemble().headers)[b"content-security-policy"].decode()
    directives = dict(each.strip().split(" ", 1) for each in policy.split(";"))
    return text, Elements(text), directives


def test_the_page_is_one_file_that_asks_for_nothing_else(
    page: tuple[str, Elements, dict[str, str]],
) -> None:
    """No address of another host in it, no element that would load something."""
    text, elements, _ = page
    assert len(text.encode()) < MAX_PAGE_BYTES
    addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s'\"`)]*", text))
    assert addresses == {"http://www.w3.org/2000/svg"}  # a name, which nobody fetches
    loading = {"src", "srcset", "data", "action", "background", "poster"}
    for tag, attributes in elements.found:
        assert not loading & attributes.keys(), tag
        assert tag not in ("iframe", "object", "embed", "base", "form"), tag
        assert not [name for name in attributes if name.startswith("on")], tag
        assert "style" not in attributes, tag
    (icon,) = [attributes for tag, attributes in elements.found if tag == "link"]
    assert str(icon["href"]).startswith("data:image/svg+xml,")
    assert "url(" not in text.replace("url(#hatch)", "")
    assert "@import" not in text


def test_only_its_own_style_and_script_may_run(
    page: tuple[str, Elements, dict[str, str]],
) -> None:
    """The policy names them by their digests, and allows nothing else."""
    _, elements, policy = page
    assert [tag for tag, _ in elements.found].count("script") == 1
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        digest = hashlib.sha256(elements.inside[tag].encode()).digest()
        assert policy[directive] == f"'sha256-{base64.b64encode(digest).decode()}'"
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert (policy["base-uri"], policy["form-action"]) == ("'none'", "'none'")
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in str(policy)


def test_the_script_has_no_way_to_make_markup_or_code_of_a_text(
    page: tuple[str, Elements, dict[str, str]],
) -> None:
    """Text becomes text nodes; the browser enforces it by trusted types."""
    _, elements, policy = page
    script = elements.inside["script"]
    for way in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "Function("):
        assert way not in script
    assert policy["require-trusted-types-for"] == "'script'"
    assert "<!--" not in script


def test_the_same_parts_give_the_same_page(root: Path) -> None:
    """And each part of the folder is in it."""
    assert assemble() == assemble()
    folder = root / "exporter/serving/page"
    assert {path.name for path in folder.glob("*.js")} == set(SCRIPTS)
    text = assemble().body.decode()
    for path in (*folder.glob("*.js"), *folder.glob("*.css")):
        assert lean(path.read_text(encoding="utf-8")) in text, path.name


def test_no_text_of_the_script_spans_lines(root: Path) -> None:
    """Indentation is left out of what is sent, so it must not be inside of a template."""
    for path in (root / "exporter/serving/page").glob("*.js"):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            assert line.count("`") % 2 == 0, f"{path.name}:{number}"


def test_the_page_comes_with_its_headers(port: int) -> None:
    """Over a socket, as a browser gets it."""
    status, headers, body = ask(port, "/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert body == assemble().body
    for name, value in assemble().headers:
        assert headers[name.decode()] == value.decode()
    assert headers["x-content-type-options"] == "nosniff"


# --- The exporter behind it ---------------------------------------------------------------


def test_the_exporter_s_document_is_of_the_tick_of_its_metrics(tmp_path: Path) -> None:
    """Host and configuration included, before the first tick and after."""
    text = f"host: {{name: node-7}}\nprice: {{usd_per_hour: 10}}\nledger: {{path: {tmp_path}/l.db}}"
    exporter = Exporter(
        loads(text), SystemClock(), Keeper(tmp_path / "l.db", "node-7", "host", 400)
    )

    def live() -> Live:
        found = msgspec.json.decode(document.encode(exporter.live()), type=Live)
        check(found, parse(exporter.exposition().body.decode()))
        return found

    try:
        first = live()
        assert (first.ready, first.reason) == (False, "the first tick is not over")
        for _ in range(3):
            exporter.tick()
        after = live()
    finally:
        exporter.close()
    assert (after.tick, after.ready, after.reason) == (3, True, "")
    assert (after.host.name, after.host.scope) == ("node-7", "host")
    assert after.price.usd_per_hour == pytest.approx(10)
    assert sum(value or 0 for value in after.now.usd_per_hour.values()) == pytest.approx(10)
    assert len(after.history.times) == 3
    assert after.ledger.writable
    assert json.loads(document.encode(exporter.live()))["format"] == after.format


def test_a_restart_goes_on_with_the_last_hour(tmp_path: Path) -> None:
    """What the ledger holds of it is shown again, all but the last tick's."""
    text = f"price: {{usd_per_hour: 10}}\nledger: {{path: {tmp_path}/l.db}}\ntime_scale: 1000\n"
    text += "period: 0.2\ngather_deadline: 0.15"
    seen = []
    for _ in range(2):
        keeper = Keeper(tmp_path / "l.db", "h", "host", 400)
        exporter = Exporter(loads(text), SystemClock(), keeper)
        try:
            for _ in range(4):
                time.sleep(0.05)
                exporter.tick()
            seen.append(msgspec.json.decode(document.encode(exporter.live()), type=Live).history)
        finally:
            exporter.close()
    times = [each.times for each in seen]
    assert len(times[0]) == 4
    assert set(times[0][:-1]) <= set(times[1])
    assert times[1][-1] > times[0][-1]
    by_time = zip(*seen[1].usd_per_hour.values(), strict=True)
    assert [sum(each) for each in by_time] == pytest.approx([10] * (len(times[1]) - 1))


def test_a_history_that_fails_costs_the_page_its_last_hour_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Charging goes on; it is logged once."""
    text = f"price: {{usd_per_hour: 10}}\nledger: {{path: {tmp_path}/l.db}}"
    exporter = Exporter(loads(text), SystemClock(), Keeper(tmp_path / "l.db", "h", "host", 400))

    def broken(*_: object) -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr(History, "note", broken)
    try:
        for _ in range(3):
            exporter.tick()
        scrape = parse(exporter.exposition().body.decode())
        live = msgspec.json.decode(document.encode(exporter.live()), type=Live)
    finally:
        exporter.close()
    assert scrape.total("unitcost_cost_usd_total") > 0
    assert scrape.one("unitcost_tick_failures_total") == 0
    assert live.history.times == ()
    said = [record.message for record in caplog.records]
    assert said.count("the last hour cannot be kept for the live page") == 1
