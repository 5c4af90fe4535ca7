"""What is left on disk when a process ends, dies, forks or is interrupted."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Records = Callable[[], list[dict[str, Any]]]
Script = Callable[..., Any]
Spawn = Callable[..., Any]
Eventually = Callable[[Callable[[], bool]], None]

PATIENT = "from unitcost_client import _run; _run.EPOCH_WAIT = _run.EXIT_WAIT = 60; "
START = f"import os, sys, unitcost_client; {PATIENT}run = unitcost_client.start('mnist'); "


@pytest.mark.parametrize(
    ("code", "exit_code", "state"),
    [
        ("run.step(3)", 0, "ended"),
        ("run.step(3); sys.exit(0)", 0, "ended"),
        ("run.step(3); sys.exit(4)", 4, "ended"),
        ("run.step(3); 1 / 0", 1, "failed"),
        ("run.step(3); raise KeyboardInterrupt", -signal.SIGINT, "failed"),
        ("run.__enter__(); run.step(3)", 0, "ended"),
        ("run.step(3); run.end(); 1 / 0", 1, "ended"),
    ],
)
def test_the_last_record_says_how_the_process_ended(
    script: Script, records: Records, code: str, exit_code: int, state: str
) -> None:
    """An exception that nobody handles is a failure; the exit code stays what it was.

    What `sys.exit` was given cannot be seen from here; inside a ``with`` block it can.
    """
    done = script(START + code)
    assert done.returncode == exit_code
    (record,) = records()
    assert (record["state"], record["steps"]) == (state, 3)


@pytest.mark.parametrize(
    ("body", "exit_code", "state"),
    [
        ("pass", 0, "ended"),
        ("sys.exit()", 0, "ended"),
        ("sys.exit(0)", 0, "ended"),
        ("sys.exit(4)", 4, "failed"),
        ("sys.exit('no data')", 1, "failed"),
        ("1 / 0", 1, "failed"),
    ],
)
def test_a_with_block_says_how_it_ended(
    script: Script, records: Records, body: str, exit_code: int, state: str
) -> None:
    """And the exception goes on its way."""
    done = script(START + f"\nwith run:\n    run.step(3)\n    {body}\n")
    assert done.returncode == exit_code
    (record,) = records()
    assert (record["state"], record["steps"]) == (state, 3)


def test_the_traceback_is_printed_as_ever_and_by_whom_it_was(script: Script) -> None:
    """An exception hook that was there before is still called, exactly once."""
    done = script(START + "1 / 0")
    assert done.stderr.count("ZeroDivisionError: division by zero") == 1
    hook = "import sys; sys.excepthook = lambda *_: print('mine', file=sys.stderr); "
    done = script(hook + START + "1 / 0")
    assert done.stderr == "mine\n"


def test_an_ended_run_leaves_no_hook_behind(script: Script) -> None:
    """The process is as it was before."""
    before = "import sys; before = sys.excepthook; "
    done = script(before + START + "run.end(); print(sys.excepthook is before)")
    assert done.stdout == "True\n"


def test_a_killed_process_loses_less_than_what_it_did_since_the_last_write(
    spawn: Spawn, records: Records, eventually: Eventually
) -> None:
    """SIGKILL: the file stays whole, and says that the process was running."""
    code = START + "print('ready', flush=True)\nwhile True: run.step()"
    process = spawn(code)
    eventually(lambda: records()[0]["seq"] >= 3)
    seen = records()[0]["steps"]
    process.send_signal(signal.SIGKILL)
    process.wait()
    (record,) = records()
    assert record["state"] == "running"
    assert record["steps"] >= seen > 0


def test_an_epoch_survives_the_hardest_exit(script: Script, records: Records) -> None:
    """os._exit runs no hooks at all."""
    script(START + "run.step(5); run.epoch(); os._exit(9)")
    (record,) = records()
    assert (record["epochs"], record["steps"], record["state"]) == (1, 5, "running")


def test_a_handler_that_ends_the_process_ends_the_run(
    spawn: Spawn, records: Records, eventually: Eventually
) -> None:
    """A signal interrupts a step anywhere; ending the run from there never hangs."""
    handler = "import signal; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); "
    loop = "print('ready', flush=True)\nwhile True: run.step(); run.epoch(0.001); run.step(True)"
    for _ in range(5):
        process = spawn(START + handler + loop)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    assert {record["state"] for record in records()} == {"ended"}


FORK = """
run.step(3)
run.epoch()
child = os.fork()
if child == 0:
    run.step(100); run.epoch(); run.step(True)
    LEAVE
os.waitpid(child, 0)
run.step(4)
run.epoch()
"""


@pytest.mark.parametrize("leave", ["sys.exit(0)", "run.end('failed'); os._exit(0)", "1 / 0"])
def test_a_forked_child_leaves_its_parents_file_alone(
    script: Script, records: Records, leave: str
) -> None:
    """However it counts and ends: a data loader's worker is a fork."""
    done = script(START + FORK.replace("LEAVE", leave))
    assert done.returncode == 0
    (record,) = records()
    assert (record["steps"], record["epochs"], record["state"]) == (7, 2, "ended")


def test_a_fork_that_python_is_not_told_of_is_no_different(
    script: Script, records: Records
) -> None:
    """A library may fork by itself."""
    code = """
import ctypes, json, glob, threading
for thread in threading.enumerate():
    if thread is not threading.main_thread(): thread.join()
child = ctypes.CDLL(None).fork()
if child == 0:
    run.epoch(); run.end()
    os._exit(0)
os.waitpid(child, 0)
(path,) = glob.glob(os.environ['UNITCOST_STATE_DIR'] + '/train-*.json')
print(json.load(open(path))['seq'])
"""
    done = script(START + code)
    assert (done.returncode, done.stdout) == (0, "1\n")
    assert records()[0]["epochs"] == 0


def test_a_forked_child_may_start_a_run_of_its_own(script: Script, records: Records) -> None:
    """Its file is another one."""
    own = "own = unitcost_client.start('child'); own.step(50); sys.exit(0)"
    script(START + FORK.replace("LEAVE", own))
    parent, child = records()
    assert (parent["steps"], child["steps"]) == (7, 50)
    assert parent["pid"] != child["pid"]
    assert (parent["state"], child["state"]) == ("ended", "ended")


def test_no_thread_of_ours_lives_while_the_process_forks(script: Script) -> None:
    """A fork copies locks in whatever state other threads hold them, and Python warns of it."""
    code = """
counts = []
tasks = lambda: counts.append(len(os.listdir('/proc/self/task')))
os.register_at_fork(after_in_parent=tasks)
for _ in range(20):
    run.step()
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
print(set(counts))
"""
    assert script(START + code).stdout == "{1}\n"


def test_what_was_counted_before_a_fork_and_a_pause_is_written(
    spawn: Spawn, records: Records
) -> None:
    """Though the thread that writes had to go for the fork."""
    code = """
run.step(3)
if os.fork() == 0:
    os._exit(0)
os.wait()
print('ready', flush=True)
input()
"""
    spawn(START + code)
    assert records()[0]["steps"] == 3


def test_forks_amid_busy_threads_neither_hang_nor_lose_a_step(
    script: Script, records: Records
) -> None:
    """Four threads count while the main one forks."""
    code = """
import threading
def work():
    for _ in range(20000): run.step()
threads = [threading.Thread(target=work) for _ in range(4)]
[thread.start() for thread in threads]
for _ in range(30):
    child = os.fork()
    if child == 0:
        run.step(); os._exit(0)
    os.waitpid(child, 0)
[thread.join() for thread in threads]
"""
    done = script(START + code)
    assert (done.returncode, done.stderr) == (0, "")
    (record,) = records()
    assert (record["steps"], record["state"]) == (80_000, "ended")


def test_a_child_forked_while_another_thread_counts_does_not_hang(script: Script) -> None:
    """It inherits locks that nobody will ever release; here all of them are held on purpose."""
    code = """
import os, signal, threading, unitcost_client
held, free = threading.Event(), threading.Event()
def grab():
    with run._lock, run._flusher._changed:
        held.set()
        free.wait()
def hold():
    threading.Thread(target=grab, daemon=True).start()
    held.wait()
os.register_at_fork(before=hold, after_in_parent=free.set)
run = unitcost_client.start('mnist')
child = os.fork()
if child == 0:
    signal.alarm(30)
    run.step(); run.step(True); run.epoch(); run.end()
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
os._exit(0)
"""
    assert script(code).stdout == "7\n"


CHILD = """
import multiprocessing, sys
sys.path.insert(0, FOLDER)
import trainer
if __name__ == '__main__':
    context = multiprocessing.get_context(METHOD)
    child = context.Process(target=trainer.train, args=(FAIL,))
    child.start()
    child.join()
    print(child.exitcode)
"""
TRAINER = """
import unitcost_client
def train(fail):
    run = unitcost_client.start('child')
    run.step(5)
    if fail:
        raise ValueError('fail')
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("fail", [False, True])
def test_a_child_of_multiprocessing_ends_or_fails_too(
    script: Script, records: Records, tmp_path: Path, method: str, fail: bool
) -> None:
    """Such a child may leave without the usual hooks."""
    (tmp_path / "trainer.py").write_text(TRAINER)
    settings = {"FOLDER": str(tmp_path), "METHOD": method, "FAIL": fail}
    code = CHILD
    for name, value in settings.items():
        code = code.replace(name, repr(value))
    done = script(code)
    assert done.stdout == f"{int(fail)}\n"
    (record,) = records()
    assert (record["state"], record["steps"]) == ("failed" if fail else "ended", 5)


def test_many_runs_leave_no_thread_and_no_open_file(script: Script, records: Records) -> None:
    """A sweep in one process."""
    code = """
import threading
before = len(os.listdir('/proc/self/fd'))
for i in range(200):
    with unitcost_client.start('sweep') as each:
        each.step(i)
run.end()
for thread in threading.enumerate():
    if thread is not threading.main_thread(): thread.join()
print(len(os.listdir('/proc/self/fd')) - before, threading.active_count())
"""
    assert script(START + code).stdout == "0 1\n"
    assert [record["steps"] for record in records()[1:]] == list(range(200))


def test_importing_the_client_starts_nothing(script: Script) -> None:
    """No thread, no file, no hook, no module beyond the standard library."""
    code = """
import sys, threading
before, hook = set(sys.modules), sys.excepthook
import unitcost_client
new = {name.split('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names
print(new, threading.active_count(), sys.excepthook is hook)
"""
    done = script(code)
    assert done.stdout == "{'unitcost_client'} 1 True\n"
    assert not os.path.exists(os.environ["UNITCOST_STATE_DIR"])


def test_the_import_loads_nothing_heavy(script: Script) -> None:
    """It takes a few milliseconds: less than each of these."""
    code = (
        "import sys; before = set(sys.modules); import unitcost_client\n"
        "heavy = {'typing', 'json', 're', 'enum', 'dataclasses', 'inspect', 'pathlib', 'logging'}\n"
        "print(sorted(heavy & set(sys.modules) - before))"
    )
    assert script(code).stdout == "[]\n"
