"""Records what the host collector reads of /proc: ``python record_procfs.py FOLDER PID...``.

File descriptors are links, which not every archive keeps: they are written to a file, ``fds``,
one ``number target`` a line, and made links again by the tests.
"""

import os
import sys
from pathlib import Path

PROC = Path("/proc")
HOST = ("stat", "meminfo", "net/tcp", "net/tcp6")
PROCESS = ("stat", "statm", "cmdline", "cgroup")


def copy(name: str, folder: Path) -> None:
    """One file of /proc; its size is not known before it is read."""
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes((PROC / name).read_bytes())


def record(folder: Path, pids: list[int]) -> None:
    """The host's files and those of the processes given."""
    for name in HOST:
        copy(name, folder)
    for pid in pids:
        for name in PROCESS:
            copy(f"{pid}/{name}", folder)
        links = [
            f"{fd} {os.readlink(PROC / f'{pid}/fd/{fd}')}" for fd in os.listdir(f"/proc/{pid}/fd")
        ]
        text = "".join(f"{link}\n" for link in sorted(links) if "socket:" in link)
        (folder / f"{pid}/fds").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    record(Path(sys.argv[1]), [int(pid) for pid in sys.argv[2:]])
