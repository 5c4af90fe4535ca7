"""A kubelet, an API server, and collectors that ask them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.collectors.fake_apiserver import FakeApiServer, fake_apiserver, make_certificate
from tests.collectors.fake_kubelet import FakeKubelet, fake_kubelet
from tests.collectors.kube.reading import POLL, MakeCollector
from unitcost.collectors.base import Context
from unitcost.collectors.kubernetes import KubernetesCollector, Options, make_collector


@pytest.fixture
def kubelet(tmp_path: Path) -> Iterator[FakeKubelet]:
    """A kubelet that gave nothing to anybody yet."""
    with fake_kubelet(tmp_path) as fake:
        yield fake


@pytest.fixture
def make(tmp_path: Path) -> Iterator[MakeCollector]:
    """Makes collectors of the kubelet in `tmp_path`, and closes them."""
    made: list[KubernetesCollector] = []

    def make_one(**options: Any) -> KubernetesCollector:
        defaults: dict[str, Any] = {
            "socket": str(tmp_path / "kubelet.sock"),
            "poll": POLL,
            "pod_logs": str(tmp_path / "logs"),
            "cgroups": str(tmp_path / "cgroup"),
            "service_account": str(tmp_path / "none"),
        }
        collector = make_collector(Options(**(defaults | options)), Context())
        made.append(collector)
        return collector

    yield make_one
    for collector in made:
        collector.close(timeout=10)


@pytest.fixture(scope="session")
def certificate(
    tmp_path_factory: pytest.TempPathFactory, real_tool: Callable[[str], Path]
) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key, made by openssl."""
    return make_certificate(tmp_path_factory.mktemp("tls"), str(real_tool("openssl")))


@pytest.fixture
def api(certificate: tuple[Path, Path]) -> Iterator[FakeApiServer]:
    """An API server of a cluster without pods."""
    with fake_apiserver(*certificate) as fake:
        yield fake
