"""Nobody comes in without a password, whatever the request looks like."""

import base64
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.exporter.web.certificates import hashed
from tests.exporter.web.served import Served, ask, basic, raw, served
from tests.exporter.web_source import FakeSource

SECRET = b"metric 1.0"
"""What only those may see who are let in."""
GOOD = basic("alice", "right: of way")
LAST = "Host: x\r\nConnection: close\r\n"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with two users, and nothing open."""
    users = f"alice: '{hashed('right: of way')}', 'Zoë': '{hashed('pässword')}'"
    folder = tmp_path_factory.mktemp("guard")
    with served(folder, f"basic_auth_users: {{{users}}}") as running:
        yield running


@pytest.mark.parametrize("path", ["/metrics", "/", "/api/v1/live", "/-/healthy", "/-/ready"])
def test_every_page_needs_the_password(guarded: Served, path: str) -> None:
    """Live page, its document and health included; the challenge says how."""
    status, headers, body = ask(guarded.port, path)
    assert (status, body) == (401, b"unauthorized\n")
    assert headers["www-authenticate"] == 'Basic realm="unitcost", charset="UTF-8"'
    assert headers["x-content-type-options"] == "nosniff"
    assert ask(guarded.port, path, Authorization=GOOD)[0] == 200


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "POST", "PUT", "CONNECT", "ODD"])
def test_every_method_needs_the_password(guarded: Served, method: str) -> None:
    """Before it is looked at whether there is such a method."""
    assert ask(guarded.port, "/metrics", method)[0] == 401
    expected = 200 if method == "HEAD" else 405
    assert ask(guarded.port, "/metrics", method, Authorization=GOOD)[0] == expected


@pytest.mark.parametrize(
    "target",
    [
        "//metrics",
        "/./metrics",
        "/%2e/metrics",
        "/%6detrics",
        "/metrics/",
        "/metrics;x",
        "/metrics?x=/-/healthy",
        "/-/healthy/../../metrics",
        "/-/healthy%2f..%2f..%2fmetrics",
        "/\\metrics",
        "/METRICS",
        "/nothing",
        "metrics",
        "*",
        "http://localhost/metrics",
        "http://x:y@localhost/metrics",
        "https:///metrics",
        "/metrics%00",
        "/metrics#/-/healthy",
    ],
)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_no_way_of_writing_a_path_leads_in(guarded: Served, target: str, version: str) -> None:
    """Also not to learn whether there is such a page."""
    got = raw(guarded.port, f"GET {target} HTTP/{version}\r\n{LAST}\r\n".encode())
    assert got.startswith((b"HTTP/1.1 401 ", b"HTTP/1.1 400 ")), got
    assert SECRET not in got


def test_open_health_opens_these_two_and_nothing_else(tmp_path: Path) -> None:
    """By the path as the router has it, and to those who read."""
    users = f"basic_auth_users: {{alice: '{hashed('right: of way')}'}}"
    with served(tmp_path, users, health=True) as running:
        port = running.port
        assert ask(port, "/-/healthy")[::2] == (200, b"healthy\n")
        assert ask(port, "/-/ready", "HEAD")[0] == 200
        assert ask(port, "/%2d/ready")[0] == 200  # the same path
        refused = ("/metrics", "/", "/-/healthy/", "//-/healthy", "/-/healthy/../metrics", "/-/")
        assert [ask(port, path)[0] for path in refused] == [401] * len(refused)
        assert ask(port, "/-/healthy", "POST")[0] == 401


BAD_HEADERS = {
    "another password": basic("alice", "wrong"),
    "another user's password": basic("alice", "pässword"),
    "nobody": basic("mallory", "right: of way"),
    "no user": basic("", "right: of way"),
    "no password": basic("alice", ""),
    "no colon": "Basic " + base64.b64encode(b"alice").decode(),
    "nothing": "",
    "nothing after the scheme": "Basic",
    "a blank": "Basic ",
    "no base64": "Basic !!!!",
    "cut base64": GOOD[:-1],
    "more after it": GOOD + " x",
    "two in one": GOOD + ", " + GOOD,
    "another scheme": "Bearer " + GOOD.removeprefix("Basic "),
    "no scheme": GOOD.removeprefix("Basic "),
    "not in base64": "Basic alice:right: of way",
    "bytes that are no text": "Basic " + base64.b64encode(b"alice:\xff\xfe\0").decode(),
    "the hash itself": basic("alice", hashed("right: of way")),
    "upper case": basic("ALICE", "right: of way"),
    "very long": basic("alice", "x" * 40_000),
    "a long name": basic("a" * 40_000, "x"),
}


@pytest.mark.parametrize("name", BAD_HEADERS)
def test_what_is_not_the_password_is_401(guarded: Served, name: str) -> None:
    """Never 500, and never let in."""
    assert ask(guarded.port, Authorization=BAD_HEADERS[name])[0] == 401


@pytest.mark.parametrize("scheme", ["Basic ", "basic ", "BASIC ", "bAsIc   "])
def test_the_scheme_may_be_written_in_any_case(guarded: Served, scheme: str) -> None:
    """RFC 9110, 11.1."""
    value = scheme + GOOD.removeprefix("Basic ")
    assert ask(guarded.port, Authorization=value)[0] == 200


def test_names_and_passwords_are_utf_8(guarded: Served) -> None:
    """As the challenge says."""
    assert ask(guarded.port, Authorization=basic("Zoë", "pässword"))[0] == 200


def test_two_headers_are_one_too_many(guarded: Served) -> None:
    """Somebody between us and the client may have looked at the other one."""
    bad = basic("alice", "wrong")
    for first, second in ((GOOD, bad), (bad, GOOD), (GOOD, GOOD)):
        headers = f"{LAST}Authorization: {first}\r\nAuthorization: {second}\r\n"
        got = raw(guarded.port, f"GET /metrics HTTP/1.1\r\n{headers}\r\n".encode())
        assert got.startswith(b"HTTP/1.1 401 ")
        assert SECRET not in got


def test_each_of_the_requests_sent_together_needs_the_password(guarded: Served) -> None:
    """A connection is nobody."""
    good = f"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: {GOOD}\r\n\r\n".encode()
    bare = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
    last = f"GET /metrics HTTP/1.1\r\n{LAST}\r\n".encode()
    got = raw(guarded.port, good + bare + good + last)
    assert re.findall(rb"HTTP/1.1 (\d+)", got) == [b"200", b"401", b"200", b"401"]
    assert got.count(SECRET) == 2


def test_a_body_smuggles_nothing_in(guarded: Served) -> None:
    """What follows a refused request's head is not taken for another request's."""
    hidden = f"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: {GOOD}\r\n\r\n"
    head = f"POST /metrics HTTP/1.1\r\n{LAST}Content-Length: {len(hidden)}\r\n\r\n"
    got = raw(guarded.port, (head + hidden).encode())
    assert got.startswith(b"HTTP/1.1 401 ")
    assert SECRET not in got


def test_a_header_without_end_is_no_way_in(guarded: Served) -> None:
    """And does no harm."""
    got = raw(guarded.port, b"GET /metrics HTTP/1.1\r\nAuthorization: Basic " + b"A" * 200_000)
    assert SECRET not in got
    assert ask(guarded.port, Authorization=GOOD)[0] == 200


def test_refused_requests_are_counted_by_path_and_code(guarded: Served) -> None:
    """Like all others."""
    before = guarded.server.answered()
    ask(guarded.port)
    ask(guarded.port, "/who-knows")
    after = guarded.server.answered()
    for path in ("/metrics", "other"):
        assert after[path, 401] - before.get((path, 401), 0) == 1


def test_nothing_of_a_password_is_logged(guarded: Served, caplog: pytest.LogCaptureFixture) -> None:
    """Nor anything else for each request."""
    with caplog.at_level(logging.DEBUG):
        ask(guarded.port, Authorization=basic("alice", "canary"))
        ask(guarded.port, Authorization=GOOD)
    assert [record.message for record in caplog.records if "asyncio" not in record.name] == []


def test_headers_are_added_where_an_answer_has_none_of_its_own(tmp_path: Path) -> None:
    """To refusals, too; the live page keeps its own policy."""
    headers = "X-Frame-Options: sameorigin, Content-Security-Policy: default-src *"
    text = (
        f"http_server_config: {{headers: {{{headers}}}}}\n"
        f"basic_auth_users: {{alice: '{hashed('right: of way')}'}}"
    )
    with served(tmp_path, text) as running:
        for authorization in ("", GOOD):
            got = ask(running.port, Authorization=authorization)[1]
            assert got["x-frame-options"] == "sameorigin"
            assert got["content-security-policy"] == "default-src *"
        page = ask(running.port, "/", Authorization=GOOD)[1]
        assert page["x-frame-options"] == "DENY"
        assert page["content-security-policy"].startswith("default-src 'none'")


def test_the_rate_is_limited_for_all_together(tmp_path: Path) -> None:
    """A burst, and then no more for an hour; open health is not asked to wait."""
    with served(tmp_path, "rate_limit: {interval: 1h, burst: 3}", health=True) as running:
        assert [ask(running.port)[0] for _ in range(5)] == [200, 200, 200, 429, 429]
        assert ask(running.port, "/-/healthy")[0] == 200
        (tmp_path / "web.yml").write_text("rate_limit: {interval: 1ns, burst: 1}")
        assert [ask(running.port)[0] for _ in range(5)] == [200] * 5


def test_without_users_anybody_is_let_in(tmp_path: Path) -> None:
    """With and without a header that nobody asked for."""
    with served(tmp_path, "", source=FakeSource()) as running:
        assert ask(running.port)[0] == 200
        assert ask(running.port, Authorization=basic("a", "b"))[0] == 200
