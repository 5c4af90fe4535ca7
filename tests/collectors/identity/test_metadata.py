"""The client of metadata services against whoever else sits at their address."""

import socket
import time

import pytest

import unitcost.collectors.identity.metadata as metadata
from tests.collectors.identity.conftest import PointTo
from tests.collectors.raw_server import Answer, body, raw_server, sends
from unitcost.collectors.fetch import FetchError, FetchKind
from unitcost.collectors.identity import aws, azure, gcp
from unitcost.collectors.identity.metadata import CAP, Place, ask
from unitcost.collectors.price_contract import NotHere, PriceSourceError, SourceContext

PORTAL = b"<html><body>Please log in</body></html>"
OK = b"HTTP/1.1 200 OK\r\n"


def slow(connection: socket.socket) -> None:
    """A byte every 50 ms, for ever."""
    while True:
        connection.sendall(b"H")
        time.sleep(0.05)


def flood(connection: socket.socket) -> None:
    """A body without an end."""
    connection.sendall(OK + b"\r\n")
    while True:
        connection.sendall(b"x" * 65536)


HOSTILE: dict[str, tuple[Answer, FetchKind]] = {
    "redirect": (
        sends(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/login\r\n\r\n"),
        FetchKind.REDIRECT,
    ),
    "status": (body(PORTAL, status="511 Network Authentication Required"), FetchKind.STATUS),
    "junk": (sends(b"\x00\xff" * 100), FetchKind.PROTOCOL),
    "nothing": (sends(), FetchKind.PROTOCOL),
    "claims to be huge": (sends(OK + b"Content-Length: 99999999\r\n\r\n"), FetchKind.PROTOCOL),
    "huge": (body(b"x" * (CAP + 1)), FetchKind.TOO_LARGE),
    "endless": (flood, FetchKind.TOO_LARGE),
    "endless head": (sends(OK + b"X: " + b"y" * 70_000 + b"\r\n\r\n"), FetchKind.PROTOCOL),
    "ends early": (sends(OK + b"Content-Length: 9\r\n\r\nabc"), FetchKind.PROTOCOL),
    "not text": (body(b"\xff\xfe"), FetchKind.PROTOCOL),
}


@pytest.mark.parametrize("how", HOSTILE)
def test_an_impostor_is_an_error_of_its_kind(how: str, point_to: PointTo) -> None:
    """Bounded in what is read, and told in a word."""
    answer, kind = HOSTILE[how]
    with raw_server(answer) as server:
        point_to(server.port)
        with pytest.raises(FetchError) as caught:
            ask("/", {}, deadline=time.monotonic() + 20)
    assert caught.value.kind is kind


@pytest.mark.parametrize("how", [*HOSTILE, "slow", "portal"])
def test_an_impostor_is_none_of_the_clouds(
    how: str, context: SourceContext, point_to: PointTo
) -> None:
    """Within the limit, and no redirect is followed."""
    extra: dict[str, Answer] = {"slow": slow, "portal": body(PORTAL)}
    answer = extra[how] if how in extra else HOSTILE[how][0]
    with raw_server(answer) as server:
        point_to(server.port)
        for identify in (aws.identify, gcp.identify, azure.identify):
            begun = time.monotonic()
            with pytest.raises(NotHere):
                identify(context, begun + 20)
            assert time.monotonic() - begun < 1.5
        assert len(server.requests) == 3


def test_one_that_turns_bad_after_the_token_is_told(
    context: SourceContext, point_to: PointTo
) -> None:
    """A service that proved to be Amazon's and then fails is an error, not another cloud."""
    heads: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        heads.append(server.requests[-1])
        token = server.requests[-1].startswith(b"PUT")
        said = body(b"token", f"{aws.TTL}: 60") if token else body(b"", status="500 Oops")
        said(connection)

    with raw_server(answer) as server:
        point_to(server.port)
        with pytest.raises(PriceSourceError, match="instance-type: HTTP 500"):
            aws.identify(context, time.monotonic() + 20)
    assert len(heads) == 2


def test_one_that_turns_bad_after_the_zone_is_told(
    context: SourceContext, point_to: PointTo
) -> None:
    """The same of Google's."""

    def answer(connection: socket.socket) -> None:
        zone = b"/zone " in server.requests[-1]
        head = "Metadata-Flavor: Google"
        said = body(b"projects/1/zones/us-central1-a", head) if zone else body(b"", status="500 x")
        said(connection)

    with raw_server(answer) as server:
        point_to(server.port)
        with pytest.raises(PriceSourceError, match="machine-type: HTTP 500"):
            gcp.identify(context, time.monotonic() + 20)


@pytest.mark.parametrize("token", [b"a\r\nX-Other: 1", b"", b"x" * 2000, b"a b"])
def test_a_token_is_never_more_than_a_header_s_value(
    token: bytes, context: SourceContext, point_to: PointTo
) -> None:
    """It goes back to who sent it, as it is or not at all, and never into an error."""
    with raw_server(body(token, f"{aws.TTL}: 60")) as server:
        point_to(server.port)
        with pytest.raises(PriceSourceError) as caught:
            aws.identify(context, time.monotonic() + 20)
        assert len(server.requests) == 1
    assert "X-Other" not in str(caught.value)


def test_the_addresses_are_the_clouds_own() -> None:
    """Two, at port 80, and no call can name another."""
    assert dict(metadata.ADDRESSES) == {
        Place.IPV4: ("169.254.169.254", 80),
        Place.AMAZON_IPV6: ("fd00:ec2::254", 80),
    }


def test_no_proxy_of_the_environment_is_used(
    context: SourceContext, point_to: PointTo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a proxy says would be of the proxy's machine."""
    with raw_server(body(b"a token", f"{aws.TTL}: 60")) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(NotHere):
            aws.identify(context, time.monotonic() + 20)
        assert proxy.requests == []


def test_no_time_left_is_no_answer(point_to: PointTo) -> None:
    """Nothing is asked after the deadline."""
    with raw_server(body(b"x")) as server:
        point_to(server.port)
        with pytest.raises(FetchError) as caught:
            ask("/", {}, deadline=time.monotonic())
        assert server.requests == []
    assert caught.value.kind is FetchKind.TIMEOUT
