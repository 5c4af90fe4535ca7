"""An agent that runs with what the chart wrote answers the kubelet as the chart says it does."""

import http.client
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from tests.exporter.web.certificates import Authority, authority, hashed
from tests.harness import WAIT_SECONDS, free_port, wait_for
from tests.helm.charts import Charts, Manifest, agent_of, configuration, merged, pod_of, the
from tests.helm.options import WEB, Values
from tests.helm.test_config import placed

pytestmark = pytest.mark.real
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
WEB_FILE = """
tls_server_config: {cert_file: server.pem, key_file: server.key}
basic_auth_users: {scraper: "%s"}
"""


@contextmanager
def running(config: Path) -> Iterator[None]:
    """`unitcost run`, as the container does it."""
    command = [sys.executable, "-Im", "unitcost.exporter.cli", "run", "--config", str(config)]
    with (config.parent / "agent.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            assert process.wait(WAIT_SECONDS) == 0


def status(probe: Manifest, path: str = "") -> int:
    """What a probe is answered; 0 for nothing. The kubelet asks for no certificate."""
    asked, host = probe["httpGet"], "127.0.0.1"
    unverified = ssl._create_unverified_context()  # noqa: S323 - as the kubelet does
    connection = (
        http.client.HTTPSConnection(host, asked["port"], timeout=10, context=unverified)
        if asked["scheme"] == "HTTPS"
        else http.client.HTTPConnection(host, asked["port"], timeout=10)
    )
    with closing(connection), suppress(OSError):
        connection.request("GET", path or asked["path"])
        return int(connection.getresponse().status)
    return 0


def _is_good(probe: Manifest) -> bool:
    return status(probe) == 200


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority; none without the openssl program."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    return authority(tmp_path_factory.mktemp("certificates") / "authority")


@pytest.mark.parametrize("secured", [False, True])
def test_every_probe_is_answered(
    charts: Charts, certificates: Authority, tmp_path: Path, secured: bool
) -> None:
    """By TLS and without the password, where one is asked for; and by nothing else so."""
    port = free_port()
    quick = {"period": 0.5, "gather_deadline": 0.4, "web": {"address": "127.0.0.1"}}
    values: Values = {"web": {"port": port}, "config": quick}
    manifests = charts.render(merged(WEB, values) if secured else values)
    config = placed(configuration(manifests), tmp_path)
    if secured:
        folder = tmp_path / "secrets" / "web"
        pair = certificates.pair("server", "IP:127.0.0.1", "serverAuth")
        shutil.copy(pair.cert, folder / "server.pem")
        shutil.copy(pair.key, folder / "server.key")
        (folder / "web.yml").write_text(WEB_FILE % hashed("secret"), encoding="utf-8")
    agent = agent_of(pod_of(the(manifests, "DaemonSet")))
    with running(config):
        for name in PROBES:
            wait_for(partial(_is_good, agent[name]), name)
        assert status(agent["livenessProbe"], "/metrics") == (401 if secured else 200)
