"""Runs one command and ends everything that it started, however it or the caller ends.

usage: supervise.py GRACE_SECONDS TEMP COMMAND [ARGUMENT...]

Stops on SIGTERM, on SIGINT and when standard input ends (the caller is gone, kill -9 included): SIGTERM to the command,
SIGKILL to whatever is left after the grace. As the subreaper it inherits the daemons that detach themselves, so that
none is lost. Last it removes the folder TEMP. Linux only. Its exit code is the command's, or 0 after a stop.
"""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import signal
import sys
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def parents() -> dict[int, int]:
    """Parent of every process. Zombies too: one whose other threads still end keeps its children until they have."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # ended meanwhile
        found[int(entry.name)] = int(fields[1])
    return found


def descendants() -> list[int]:
    parent = parents()
    found: list[int] = []
    ring = [os.getpid()]
    while ring:
        ring = [pid for pid, above in parent.items() if above in ring]
        found += ring
    return found


def signal_all(pids: list[int], name: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, name)
        except ProcessLookupError:
            pass


def reap() -> dict[int, int]:
    """Exit codes of the children that have ended, adopted ones too."""
    ended = {}
    try:
        while (found := os.waitpid(-1, os.WNOHANG))[0] != 0:
            ended[found[0]] = os.waitstatus_to_exitcode(found[1])
    except ChildProcessError:
        pass  # no child is left
    return ended


def has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def main(grace_seconds: float, temp: str, command: list[str]) -> int:
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    no_input = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]  # ours says when the caller is gone
    child = os.posix_spawnp(command[0], command, os.environ, file_actions=no_input)
    code: int | None = None
    while code is None and not stopping:
        readable, _, _ = select.select([sys.stdin], [], [], 0.1)
        if readable and os.read(0, 4096) == b"":
            stopping = True
        code = reap().get(child)
    if code is None:
        signal_all([child], signal.SIGTERM)
        end = time.monotonic() + grace_seconds
        while child not in reap() and time.monotonic() < end:
            time.sleep(0.05)
    while has_children():  # orphans become ours, so that none is left anywhere below when this says no
        signal_all(descendants(), signal.SIGKILL)
        time.sleep(0.02)
        reap()
    shutil.rmtree(temp, ignore_errors=True)
    return code if code is not None and not stopping else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2], sys.argv[3:]))
