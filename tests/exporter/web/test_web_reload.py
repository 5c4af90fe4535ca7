"""Users and certificates change without a restart; what is broken or asks for less does not."""

import http.client
import logging
import os
import shutil
import ssl
import threading
from functools import partial
from pathlib import Path

import pytest

from tests.exporter.web.certificates import SERVER_NAMES, World, hashed
from tests.exporter.web.served import ask, ask_tls, basic, client, served
from tests.exporter.web_source import LOOPBACK, PATIENCE, wait_until
from unitcost.exporter.config.error import ConfigError
from unitcost.exporter.serving.guard.watch import WebFile

PAIR = "cert_file: server.pem, key_file: server.key"
TLS = f"tls_server_config: {{{PAIR}}}\n"
MUTUAL = f"{PAIR}, client_ca_file: ca.pem, client_auth_type: RequireAndVerifyClientCert"
NAMED = f"{MUTUAL}, client_allowed_sans: [prometheus.example]"


def users(*pairs: tuple[str, str]) -> str:
    """The section."""
    return "basic_auth_users:\n" + "".join(f"  {name}: '{hashed(pw)}'\n" for name, pw in pairs)


def write(path: Path, text: str) -> None:
    """As editors and configuration management do: all at once."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.rename(path)


def serial(port: int, certificates: World) -> object:
    """The serial number of the certificate that is served."""
    context = client(certificates)
    connection = http.client.HTTPSConnection(LOOPBACK, port, timeout=PATIENCE, context=context)
    connection.connect()
    try:
        assert isinstance(connection.sock, ssl.SSLSocket)
        found = connection.sock.getpeercert()
        assert found is not None
        return found["serialNumber"]
    finally:
        connection.close()


def test_users_come_and_go_at_once_also_on_open_connections(here: Path) -> None:
    """Between two requests of one connection."""
    with served(here, users(("a", "1"), ("b", "2"))) as running:
        connection = http.client.HTTPConnection(LOOPBACK, running.port, timeout=PATIENCE)

        def status(user: str, password: str) -> int:
            connection.request("GET", "/metrics", headers={"Authorization": basic(user, password)})
            response = connection.getresponse()
            response.read()
            return response.status

        assert (status("a", "1"), status("b", "2"), status("c", "3")) == (200, 200, 401)
        write(here / "web.yml", users(("b", "2"), ("c", "3")))
        assert (status("a", "1"), status("b", "2"), status("c", "3")) == (401, 200, 200)
        write(here / "web.yml", users(("b", "new")))
        assert (status("b", "2"), status("b", "new"), status("c", "3")) == (401, 200, 401)
        connection.close()
        assert (running.file.up, running.file.failures) == (True, 0)


def test_a_certificate_changes_with_the_next_handshake(here: Path, certificates: World) -> None:
    """The connection that is open goes on; half a change is not taken, the whole is."""
    fresh = certificates.good.pair("rotated", SERVER_NAMES, "serverAuth")
    with served(here, TLS) as running:
        context = client(certificates)
        kept = http.client.HTTPSConnection(
            LOOPBACK, running.port, timeout=PATIENCE, context=context
        )
        kept.request("GET", "/metrics")
        assert kept.getresponse().read() == b"metric 1.0\n"
        before = serial(running.port, certificates)
        shutil.copy(fresh.cert, here / "server.pem")
        assert serial(running.port, certificates) == before
        assert (running.file.up, running.file.failures) == (False, 1)
        shutil.copy(fresh.key, here / "server.key")
        assert serial(running.port, certificates) != before
        assert (running.file.up, running.file.failures) == (True, 1)
        kept.request("GET", "/metrics")
        assert kept.getresponse().read() == b"metric 1.0\n"
        kept.close()


def test_a_folder_that_is_swapped_as_a_whole_is_seen(here: Path, certificates: World) -> None:
    """As Kubernetes does with secrets: a link to a folder is put in the place of another."""
    fresh = certificates.good.pair("swapped", SERVER_NAMES, "serverAuth")
    for name, cert, key in (
        ("one", here / "server.pem", here / "server.key"),
        ("two", fresh.cert, fresh.key),
    ):
        (here / name).mkdir()
        shutil.copy(cert, here / name / "tls.crt")
        shutil.copy(key, here / name / "tls.key")
    (here / "data").symlink_to("one")
    text = "tls_server_config: {cert_file: data/tls.crt, key_file: data/tls.key}"
    with served(here, text) as running:
        before = serial(running.port, certificates)
        (here / "next").symlink_to("two")
        (here / "next").rename(here / "data")
        assert serial(running.port, certificates) != before


BROKEN = {
    "not YAML": "basic_auth_users: [",
    "half a hash": users(("a", "1"))[:-30],
    "a certificate that is not there": users(("a", "1")) + "tls_server_config: {cert_file: no.pem}",
    "nothing": "",
    "no users": "basic_auth_users: {}",
    "half a file": "basic_auth_users:\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_keeps_the_old_and_is_said_once(
    name: str, here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And counted once; what is mended is used, and said."""
    good = basic("a", "1")
    with served(here, users(("a", "1"))) as running, caplog.at_level(logging.INFO):
        write(here / "web.yml", BROKEN[name])
        for _ in range(5):
            assert ask(running.port)[0] == 401
            assert ask(running.port, Authorization=good)[0] == 200
        assert (running.file.up, running.file.failures) == (False, 1)
        (said,) = [record.getMessage() for record in caplog.records]
        assert said.startswith(f"web configuration unchanged: {here / 'web.yml'}")
        write(here / "web.yml", users(("a", "2")))
        assert ask(running.port, Authorization=good)[0] == 401
        assert (running.file.up, running.file.failures) == (True, 1)
    assert [record.getMessage() for record in caplog.records][1:] == ["web configuration reloaded"]


def test_a_file_that_is_gone_keeps_the_old_until_it_is_back(here: Path) -> None:
    """Counted once."""
    with served(here, users(("a", "1"))) as running:
        os.unlink(here / "web.yml")
        for _ in range(3):
            assert ask(running.port, Authorization=basic("a", "1"))[0] == 200
        assert (running.file.up, running.file.failures) == (False, 1)
        (here / "web.yml").write_text(users(("a", "1")))
        assert ask(running.port)[0] == 401
        assert running.file.up


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        (users(("a", "1")), "", "basic_auth_users"),
        (TLS, "", "tls_server_config"),
        (TLS, "tls_server_config: {}", "tls_server_config"),
        (f"tls_server_config: {{{MUTUAL}}}", TLS, "tls_server_config.client_auth_type"),
        (
            f"tls_server_config: {{{MUTUAL}}}",
            f"tls_server_config: {{{MUTUAL.replace('RequireAnd', '')}IfGiven}}",
            "tls_server_config.client_auth_type",
        ),
        (
            f"tls_server_config: {{{NAMED}}}",
            f"tls_server_config: {{{MUTUAL}}}",
            "tls_server_config.client_allowed_sans",
        ),
    ],
)
def test_what_asks_for_less_needs_a_restart(
    before: str, after: str, key: str, here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It may be a file that is just being written."""
    path = here / "web.yml"
    path.write_text(before)
    file = WebFile(str(path))
    was = file.current()
    write(path, after)
    assert file.current() is was
    assert (file.up, file.failures) == (False, 1)
    assert f"{path}: {key}: asks less of clients than before" in caplog.text
    assert WebFile(str(path)).up  # which is a restart


def test_what_asks_for_more_is_taken_at_once(here: Path, certificates: World) -> None:
    """TLS where there was none, certificates, names, users."""
    with served(here, "") as running:
        assert ask(running.port)[0] == 200
        write(here / "web.yml", TLS)
        with pytest.raises(ConnectionError):
            ask(running.port)
        assert ask_tls(running.port, client(certificates))[0] == 200
        write(here / "web.yml", f"tls_server_config: {{{NAMED}}}\n{users(('a', '1'))}")
        context = client(certificates, certificates.client)
        assert ask_tls(running.port, context)[0] == 401
        assert ask_tls(running.port, context, Authorization=basic("a", "1"))[0] == 200
        with pytest.raises(OSError):  # noqa: PT011 - however it shows
            ask_tls(running.port, client(certificates))
        assert running.file.failures == 0


def test_under_load_each_request_is_answered_by_the_old_or_the_new(
    here: Path, certificates: World
) -> None:
    """Twenty changes of certificate and users while four clients scrape: none fails."""
    one, two = certificates.server, certificates.good.pair("under-load", SERVER_NAMES, "serverAuth")
    both = users(("a", "1"), ("b", "2"))
    for name, pair in (("one", one), ("two", two)):
        shutil.copy(pair.cert, here / f"{name}.pem")
        shutil.copy(pair.key, here / f"{name}.key")

    def config(name: str) -> str:
        return f"tls_server_config: {{cert_file: {name}.pem, key_file: {name}.key}}\n{both}"

    context, done = client(certificates), threading.Event()
    statuses: list[int] = []
    failed: list[Exception] = []
    serials = set()

    def scrape() -> None:
        try:
            while not done.is_set():
                statuses.append(ask_tls(running.port, context, Authorization=basic("a", "1"))[0])
                statuses.append(ask_tls(running.port, context, Authorization=basic("b", "2"))[0])
        except Exception as error:  # noqa: BLE001 - told below
            failed.append(error)

    with served(here, config("one")) as running:
        clients = [threading.Thread(target=scrape) for _ in range(4)]
        for each in clients:
            each.start()
        for number in range(20):
            write(here / "web.yml", config("two" if number % 2 == 0 else "one"))
            count = len(statuses)
            assert wait_until(partial(_more, statuses, count, failed))
            serials.add(serial(running.port, certificates))
        done.set()
        for each in clients:
            each.join()
        assert (running.file.up, running.file.failures) == (True, 0)
    assert failed == []
    assert set(statuses) == {200}
    assert len(serials) == 2


def _more(statuses: list[int], count: int, failed: list[Exception]) -> bool:
    """Whether some more were answered, or one was not."""
    return len(statuses) > count + 4 or bool(failed)


def test_nothing_is_read_while_nothing_changes(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at a file costs a stat."""
    path = here / "web.yml"
    path.write_text(TLS)
    file = WebFile(str(path))

    def opened(*_: object) -> None:
        pytest.fail("a file was opened")

    monkeypatch.setattr("builtins.open", opened)
    was = file.current()
    assert all(file.current() is was for _ in range(100))


def test_a_file_that_changes_while_it_is_read_is_read_again(here: Path) -> None:
    """What a file was like is looked at before it is read, so that nothing is missed."""
    from unitcost.exporter.config.web.files import Files

    path = here / "web.yml"
    path.write_text("old")
    files = Files()
    data = files.read(str(path), ("file",))
    assert (data, files.changed()) == (b"old", False)
    path.write_text("newer")
    assert files.changed()


def test_a_bad_file_at_the_start_is_an_error(here: Path) -> None:
    """There is nothing old that could go on."""
    (here / "web.yml").write_text("nonsense: 1")
    with pytest.raises(ConfigError):
        WebFile(str(here / "web.yml"))
