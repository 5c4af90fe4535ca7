"""A real Prometheus scrapes the real exporter over TLS, with a certificate and a password."""

import contextlib
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.test_prometheus import Prometheus
from tests.exporter.web.certificates import SERVER_NAMES, World, hashed, world
from tests.exporter.web.served import ask_tls, basic, client
from tests.harness import Exporter, free_port, wait_for

CONFIG = """
global: {scrape_interval: 250ms, scrape_timeout: 250ms}
scrape_configs:
"""
JOB = """
  - job_name: %s
    scheme: %s
    tls_config: {ca_file: ca.pem, cert_file: %s.pem, key_file: %s.key, server_name: localhost}
    basic_auth: {username: prometheus, password: %s}
    static_configs: [{targets: ["127.0.0.1:%d"]}]
"""
WEB = """
tls_server_config:
  cert_file: server.pem
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
  client_allowed_sans: [prometheus.example]
basic_auth_users:
  prometheus: "%s"
"""


class Secured(Exporter):
    """An exporter with a web configuration."""

    def write_config(self) -> Path:
        """As without one, and it."""
        path = super().write_config()
        settings = json.loads(path.read_text())
        settings["web"] |= {"config_file": "web.yml"}
        path.write_text(json.dumps(settings))
        return path


@contextlib.contextmanager
def secured(folder: Path, found: World) -> Iterator[Exporter]:
    """Run it; it is ended afterwards."""
    running = Secured(folder, {"period": 0.5, "gather_deadline": 0.3})
    context = client(found, found.client)

    def answers() -> bool:
        with contextlib.suppress(OSError):
            return ask_tls(running.port, context)[0] == 401
        return False

    config = running.write_config()
    command = [sys.executable, "-Im", "unitcost.exporter.cli", "run", "--config", str(config)]
    with open(folder / "exporter.log", "wb") as log:
        running.process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for(answers, "an answer over TLS")
        yield running
    finally:
        running.stop(signal.SIGKILL)


@contextlib.contextmanager
def prometheus(binary: Path, folder: Path, jobs: str) -> Iterator[Prometheus]:
    """A Prometheus with these jobs."""
    (folder / "prometheus.yml").write_text(CONFIG + jobs)
    port = free_port()
    options = ("--config.file=prometheus.yml", "--storage.tsdb.path=data")
    command = [str(binary), *options, f"--web.listen-address=127.0.0.1:{port}"]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=folder, stdout=quiet, stderr=quiet) as child:
        try:
            running = Prometheus(port)
            wait_for(running.alive, "Prometheus")
            yield running
        finally:
            child.kill()


@pytest.mark.real
def test_prometheus_scrapes_over_tls_with_a_certificate_and_a_password(
    tmp_path: Path, real_tool: Callable[[str], Path]
) -> None:
    """Nobody else does; certificate and password change under it without a restart."""
    binary, found = real_tool("prometheus"), world(tmp_path / "certificates")
    for name in ("client", "nameless", "server"):
        for end in ("pem", "key"):
            shutil.copy(found.good.folder / f"{name}.{end}", tmp_path / f"{name}.{end}")
    shutil.copy(found.good.cert, tmp_path / "ca.pem")
    (tmp_path / "web.yml").write_text(WEB % hashed("canary-one"))
    with secured(tmp_path, found) as running:
        who = {
            "good": ("https", "client", "client", "canary-one"),
            "later": ("https", "client", "client", "canary-two"),
            "nameless": ("https", "nameless", "nameless", "canary-one"),
            "plain": ("http", "client", "client", "canary-one"),
        }
        jobs = "".join(JOB % (name, *how, running.port) for name, how in who.items())
        with prometheus(binary, tmp_path, jobs) as server:

            def up() -> dict[str, float]:
                return {row["metric"]["job"]: float(row["value"][1]) for row in server.query("up")}

            only_good = {"good": 1.0, "later": 0.0, "nameless": 0.0, "plain": 0.0}
            wait_for(lambda: up() == only_good, "the first scrapes")
            assert server.value('unitcost_web_config_up{job="good"}') == 1

            fresh = found.good.pair("fresh", SERVER_NAMES, "serverAuth")
            shutil.copy(fresh.cert, tmp_path / "server.pem")
            shutil.copy(fresh.key, tmp_path / "server.key")
            (tmp_path / "web.new").write_text(WEB % hashed("canary-two"))
            (tmp_path / "web.new").rename(tmp_path / "web.yml")
            only_later = {"good": 0.0, "later": 1.0, "nameless": 0.0, "plain": 0.0}
            wait_for(lambda: up() == only_later, "the new password")

            context = client(found, found.client)
            status, _, body = ask_tls(
                running.port, context, Authorization=basic("prometheus", "canary-two")
            )
            assert status == 200
            assert b'unitcost_http_requests_total{code="401",path="/metrics"}' in body
        for secret in ("canary", "PRIVATE", "$2b$"):
            assert secret not in running.log
            assert secret.encode() not in body
        assert running.stop() == 0
