"""`unitcost doctor` tells what works and what does not, on this host and on made-up ones."""

import http.server
import os
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from unitcost.collectors.base import Found, NoData, Problem, Reading
from unitcost.exporter import cli
from unitcost.exporter.config.load import Loaded, loads
from unitcost.exporter.doctor import ask, doctor
from unitcost.exporter.doctor.host import (
    Finding,
    Mount,
    Status,
    cgroup_finding,
    clock_finding,
    filesystem,
    host_findings,
    ledger_findings,
    mounts,
)
from unitcost.exporter.serving.page.assemble import assemble

METRICS = b"""\
# TYPE done_total counter
done_total{code="200"} 5
"""
TABLE = "servers: {mine: {marker: [done_], requests_succeeded: [{metric: done_total}]}}\n"


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], Loaded]:
    """Load a text, with a free port and a ledger of the test's own unless it says otherwise."""

    def loader(text: str = "") -> Loaded:
        if "web:" not in text:
            text += f"\nweb: {{address: 127.0.0.1, port: {free_port()}}}"
        return loads(text, environ={"XDG_STATE_HOME": str(tmp_path)}, folder=tmp_path)

    return loader


def free_port() -> int:
    """A TCP port of loopback on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def about(findings: Iterator[Finding], subject: str) -> list[Finding]:
    """The findings on one subject."""
    return [finding for finding in findings if finding.subject == subject]


def test_nothing_fails_on_the_host_that_runs_the_tests(
    load: Callable[[str], Loaded], capsys: pytest.CaptureFixture[str]
) -> None:
    """A line each, with ok or warn, and what to do after a semicolon."""
    out = StringIO()
    code = doctor.report(load(""), out)
    *lines, blank, summary = out.getvalue().splitlines()
    assert blank == ""
    failed = [line for line in lines if line.startswith("fail")]
    assert (code, failed) == (0, [])
    assert all(re.match(r"(ok  |warn)  \S.{15,}?  \S", line) for line in lines)
    assert re.fullmatch(r"\d+ ok, \d+ warn, 0 fail", summary)
    subjects = {line[6:22].strip() for line in lines}
    wanted = {"python", "kernel", "capacity", "cgroup", "processes", "clock", "config", "price"}
    assert wanted | {"ledger", "disk", "port", "read host"} <= subjects
    assert capsys.readouterr() == ("", "")


def test_it_runs_from_the_command_line_with_a_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 1 when something fails: here an endpoint at which nobody listens."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    url = f"http://127.0.0.1:{free_port()}/metrics"
    file = tmp_path / "unitcost.yaml"
    file.write_text(f"workloads: [{{name: a, endpoints: [{{url: '{url}'}}]}}]\n")
    assert cli.main(["doctor", "--config", str(file)]) == 1
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("fail")]
    assert line.startswith(f"fail  endpoint          {url}: ")
    assert "see that the server runs" in line


@pytest.fixture
def server() -> Iterator[str]:
    """A real HTTP server on loopback that serves METRICS at /metrics and junk elsewhere."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = METRICS if self.path == "/metrics" else b"<html>welcome</html>"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{made.server_port}"
        made.shutdown()
        thread.join()


def test_an_endpoint_that_answers_is_ok_and_one_that_is_no_server_fails(
    load: Callable[[str], Loaded], server: str
) -> None:
    """Each has its own line."""
    loaded = load(
        f"workloads: [{{name: a, endpoints: [{{url: '{server}/metrics'}},"
        f" {{url: '{server}/welcome'}}]}}]\n{TABLE}"
    )
    good, bad = about(doctor.findings(loaded), "endpoint")
    assert good.status is Status.OK
    assert good.text == f"{server}/metrics: counts requests for a"
    assert bad.status is Status.FAIL
    assert f"{server}/welcome: " in bad.text


def test_a_workload_is_ok_if_a_process_of_it_is_seen(
    load: Callable[[str], Loaded], server: str
) -> None:
    """By its endpoint's port or by its match; with neither met it is a warning."""
    loaded = load(
        f"workloads: [{{name: served, endpoints: [{{url: '{server}/metrics'}}]}},"
        f" {{name: gone, match: {{command: 'no such command {os.getpid()} x'}}}},"
        f" {{name: trained, kind: training}}]\n{TABLE}"
    )
    served, gone = about(doctor.findings(loaded), "workload")
    assert (served.status, served.text.partition(":")[0]) == (Status.OK, "served")
    assert (gone.status, gone.text) == (Status.WARN, "gone: no process of it is seen")


def plugin(name: str, collect: Callable[[float], Reading]) -> Found:
    """A collector as a module on disk would be."""
    module = ModuleType(name)

    class Collector:
        def __init__(self, *_: object) -> None:
            self.name = name

        def collect(self, deadline: float) -> Reading:
            return collect(deadline)

    vars(module).update(make_collector=Collector, Options=object)
    return Found(name, module, None)


def raising(error: BaseException) -> Callable[[float], Reading]:
    """A collector's method that raises."""

    def collect(_: float) -> Reading:
        raise error

    return collect


def junk(_: float) -> Any:
    """What a broken collector may return."""
    return {"a": 1}


BROKEN = [
    (Found("bad", None, "ImportError: no libfoo"), Status.FAIL, "cannot be used: ImportError: no"),
    (plugin("bad", raising(RuntimeError("boom"))), Status.FAIL, "RuntimeError: boom"),
    (plugin("bad", raising(SystemExit(3))), Status.FAIL, "SystemExit: 3"),
    (plugin("bad", junk), Status.FAIL, "Junk"),
    (plugin("bad", raising(NoData("no device"))), Status.OK, "nothing to read: no device"),
    (plugin("bad", lambda _: Reading()), Status.OK, "empty"),
]


@pytest.mark.parametrize(("found", "status", "text"), BROKEN)
def test_a_collector_that_is_broken_is_one_line_and_the_others_are_read(
    load: Callable[[str], Loaded], found: Found, status: Status, text: str
) -> None:
    """Whatever is wrong with it."""
    loaded = load("")
    loaded = replace(loaded, collectors=(found, *loaded.collectors))
    findings = list(doctor.findings(loaded))
    (finding,) = about(iter(findings), "read bad")
    assert finding.status is status
    assert text in finding.text
    assert about(iter(findings), "read host")[0].status is Status.OK


def test_a_collector_that_hangs_is_left_behind(
    load: Callable[[str], Loaded], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a few seconds; the report goes on."""
    monkeypatch.setattr(ask, "COLLECT_SECONDS", 0.1)
    monkeypatch.setattr(ask, "GRACE_SECONDS", 0.1)
    released = threading.Event()

    def hang(_: float) -> Reading:
        released.wait(60)
        return Reading()

    loaded = replace(load(""), collectors=(plugin("bad", hang),))
    (finding,) = about(doctor.findings(loaded), "read bad")
    released.set()
    assert finding.text == "gave no answer within 0.1 s"


def test_problems_of_a_collector_are_told_up_to_a_number(load: Callable[[str], Loaded]) -> None:
    """A thousand broken files are not a thousand lines."""
    problems = tuple(Problem("junk", f"file {i}\x1b[2J") for i in range(1000))
    found = plugin("bad", lambda _: Reading(problems=problems))
    loaded = replace(load(""), collectors=(found,))
    findings = about(doctor.findings(loaded), "read bad")
    assert len(findings) == ask.MAX_PROBLEMS + 2
    assert "and 995 more problems" in findings[-1].text
    assert all(finding.line().isprintable() for finding in findings)


@pytest.mark.parametrize(
    ("price", "status", "texts"),
    [
        ("", Status.WARN, ["rent is unpriced: its cost is unknown, not 0"]),
        ("price: {usd_per_hour: 2}", Status.OK, ["rent 2.000000 USD/h (override)"]),
        (
            "price: {owned: {purchase_usd: 8760, life_years: 1, electricity: none}}",
            Status.OK,
            ["amortisation 1.000000 USD/h (owned)", "overhead 0.000000 USD/h (owned)"],
        ),
        (
            "price: {owned: {purchase_usd: 8760, life_years: 1, electricity: "
            "{usd_per_kwh: 0.3, pue: 1.3, unmetered_watts: 90.5}}}",
            Status.OK,
            [
                "amortisation 1.000000 USD/h (owned)",
                "overhead 0.000000 USD/h (owned)",
                "electricity: 0.300000 USD for a kWh at the meter (configuration, PUE 1.3), "
                "by what sensors measure",
                "electricity: 90.5 W are stated for what no sensor sees",
            ],
        ),
    ],
)
def test_the_price_is_told(
    load: Callable[[str], Loaded], price: str, status: Status, texts: list[str]
) -> None:
    """Or that there is none."""
    findings = about(doctor.findings(load(price)), "price")
    assert [finding.text for finding in findings] == texts
    assert {finding.status for finding in findings} == {status}


def test_a_port_in_use_fails_unless_it_is_unitcost_that_uses_it(
    load: Callable[[str], Loaded],
) -> None:
    """A doctor is called while the exporter runs."""
    for answer, status in ((assemble().body, Status.OK), (b"hello", Status.FAIL)):
        with socket.create_server(("127.0.0.1", 0)) as listening:
            thread = threading.Thread(target=_answer, args=(listening, answer))
            thread.start()
            port = listening.getsockname()[1]
            loaded = load(f"web: {{address: 127.0.0.1, port: {port}}}")
            (finding,) = about(doctor.findings(loaded), "port")
            thread.join()
        assert finding.status is status, finding


def _answer(listening: socket.socket, body: bytes) -> None:
    listening.settimeout(30)
    connection, _ = listening.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
        connection.sendall(body)


def test_training_folders_that_are_configured_must_be_there(
    load: Callable[[str], Loaded], tmp_path: Path
) -> None:
    """A missing one fails, one that nobody may write warns, a good one tells who may write."""
    good, closed = tmp_path / "good", tmp_path / "closed"
    good.mkdir()
    closed.mkdir()
    closed.chmod(0o555)
    folders = f"[{good}, {closed}, {tmp_path}/none]"
    loaded = load(f"collectors: {{training: {{directories: {folders}}}}}")
    findings = about(doctor.findings(loaded), "training")
    assert [f.status for f in findings] == [Status.OK, Status.WARN, Status.FAIL]
    assert f"user {os.geteuid()} may write it" in findings[0].text


def test_warnings_of_the_configuration_are_told(load: Callable[[str], Loaded]) -> None:
    """So that one command tells all."""
    findings = about(doctor.findings(load("workloads: [{name: a}]")), "config")
    assert any("has neither match nor endpoints" in f.text for f in findings)


# Hosts that are not this one.


def mount(point: str, type_: str) -> Mount:
    """A mounted file system."""
    return Mount(point, type_, ("rw",))


@pytest.mark.parametrize(
    ("mounted", "status", "text"),
    [
        ([("/sys/fs/cgroup", "cgroup2")], Status.OK, "version 2"),
        ([("/sys/fs/cgroup/cpu", "cgroup")], Status.OK, "version 1"),
        (
            [("/sys/fs/cgroup/cpu", "cgroup"), ("/sys/fs/cgroup/unified", "cgroup2")],
            Status.OK,
            "versions 1 and 2 (hybrid)",
        ),
        ([("/", "ext4")], Status.WARN, "not mounted"),
    ],
)
def test_the_version_of_cgroups_is_told(
    mounted: list[tuple[str, str]], status: Status, text: str
) -> None:
    """From what is mounted."""
    finding = cgroup_finding(tuple(mount(*each) for each in mounted))
    assert finding.status is status
    assert text in finding.text


@pytest.mark.parametrize(
    ("type_", "status"),
    [
        ("ext4", Status.OK),
        ("xfs", Status.OK),
        ("", Status.OK),
        ("nfs4", Status.FAIL),
        ("cifs", Status.FAIL),
        ("fuse.sshfs", Status.FAIL),
        ("tmpfs", Status.WARN),
        ("overlay", Status.WARN),
    ],
)
def test_a_ledger_on_a_network_file_system_fails(
    type_: str, status: Status, tmp_path: Path
) -> None:
    """SQLite's write-ahead log does not work there; one that is lost at a reboot warns."""
    mounted = (mount("/", "ext4"), mount(str(tmp_path.resolve()), type_)) if type_ else ()
    finding, _ = ledger_findings(tmp_path / "deeper" / "ledger.db", mounted)
    assert finding.status is status


def test_the_deepest_and_latest_mount_holds_a_path() -> None:
    """Mounts may lie over each other; /data is no parent of /database."""
    mounted = (
        mount("/", "ext4"),
        mount("/data", "nfs"),
        mount("/data/local", "xfs"),
        mount("/data/local", "btrfs"),
    )
    assert filesystem(Path("/data/local/x"), mounted) == "btrfs"
    assert filesystem(Path("/data/x"), mounted) == "nfs"
    assert filesystem(Path("/data"), mounted) == "nfs"
    assert filesystem(Path("/database"), mounted) == "ext4"
    assert filesystem(Path("/x"), ()) == ""


@pytest.mark.parametrize(("state", "status"), [(0, Status.OK), (5, Status.WARN), (None, Status.OK)])
def test_the_clock_is_ok_unless_the_kernel_says_otherwise(
    state: int | None, status: Status
) -> None:
    """adjtimex returns TIME_ERROR for a clock that nobody synchronises."""
    assert clock_finding(state).status is status


def test_a_full_disk_fails_and_a_nearly_full_one_warns(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By what an unprivileged user may still write."""
    for free, status in ((1 << 20, Status.FAIL), (1 << 28, Status.WARN), (1 << 34, Status.OK)):
        state = os.statvfs_result((4096, 4096, 0, 0, free // 4096, 0, 0, 0, 0, 255))
        monkeypatch.setattr(os, "statvfs", lambda _, state=state: state)
        _, finding = ledger_findings(tmp_path / "ledger.db", ())
        assert finding.status is status


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A procfs with one CPU, 2 GiB, and a process whose files may not be listed."""
    root = tmp_path / "proc"
    (root / "self").mkdir(parents=True)
    (root / "stat").write_text("cpu  1 2 3\ncpu0 1 2 3\nintr 5\n")
    (root / "meminfo").write_text("MemTotal:        2097152 kB\nMemFree: 1 kB\n")
    (root / "self" / "mounts").write_text(
        "proc /proc proc rw,hidepid=2 0 0\n/dev/a /data\\040disk ext4 rw 0 0\njunk\n"
    )
    return root


def test_capacity_and_mounts_are_read_from_the_procfs_given(proc: Path) -> None:
    """In a container the host's may be mounted elsewhere."""
    (capacity,) = about(host_findings(proc), "capacity")
    assert capacity.text == "1 CPUs, 2.0 GiB of memory"
    assert [each.point for each in mounts(proc)] == ["/proc", "/data disk"]


def test_a_procfs_that_is_not_there_fails_and_says_so(tmp_path: Path) -> None:
    """Nothing raises."""
    findings = {finding.subject: finding for finding in host_findings(tmp_path / "none")}
    assert findings["capacity"].status is Status.FAIL
    assert "mount procfs there" in findings["capacity"].mend


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_processes_of_others_are_closed_to_a_user(load: Callable[[str], Loaded]) -> None:
    """Root reads them all; another user is told what it misses and what mends it."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        (finding,) = about(host_findings(), "processes")
    finally:
        if root:
            os.seteuid(0)
    if root or finding.status is Status.WARN:
        assert finding.status is Status.WARN
        assert "CAP_SYS_PTRACE" in finding.mend or "hidepid" in finding.mend
