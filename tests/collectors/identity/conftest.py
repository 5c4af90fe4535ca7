"""Puts metadata services where the real ones would be."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import unitcost.collectors.identity.metadata as metadata
from tests.collectors.fake_apiserver import FakeApiServer, fake_apiserver, make_certificate
from unitcost.collectors.identity.metadata import Place
from unitcost.collectors.price_contract import SourceContext

PointTo = Callable[..., None]


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of loopback that refuses connections for as long as the test takes."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def point_to(monkeypatch: pytest.MonkeyPatch, closed_port: int) -> PointTo:
    """Say at which ports of loopback the services are; where none is said, nobody listens."""

    def point(ipv4: int | None = None, ipv6: int | None = None) -> None:
        places = {Place.IPV4: ipv4, Place.AMAZON_IPV6: ipv6}
        addresses = {place: ("127.0.0.1", port or closed_port) for place, port in places.items()}
        monkeypatch.setattr(metadata, "ADDRESSES", addresses)

    point()
    return point


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port of loopback whose queue is full: connecting to it takes for ever."""
    with socket.socket() as listener, ExitStack() as held:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for _ in range(4):
            filler = held.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        yield port


@pytest.fixture
def context(tmp_path: Path) -> SourceContext:
    """Of a host that is in no cluster."""
    return SourceContext(tmp_path, time.time_ns, service_account=str(tmp_path / "none"))


@pytest.fixture(scope="session")
def certificate(
    tmp_path_factory: pytest.TempPathFactory, real_tool: Callable[[str], Path]
) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key, made by openssl."""
    return make_certificate(tmp_path_factory.mktemp("tls"), str(real_tool("openssl")))


@pytest.fixture
def api(certificate: tuple[Path, Path]) -> Iterator[FakeApiServer]:
    """An API server of a cluster without nodes."""
    with fake_apiserver(*certificate) as fake:
        yield fake
