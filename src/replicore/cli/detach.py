"""``replicore up -d``: the same command again in a session of its own, left alone once ready.

The child prints to this terminal itself until it is ready, so that errors, progress and the
``ready`` line are the same with and without ``-d``. It then says so over a pipe and lets go of the
terminal. If it fails instead, the pipe ends, and its exit code is ours.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from replicore.errors import INTERRUPTED_EXIT_CODE


def run_detached(arguments: list[str]) -> int:
    """Run ``replicore`` with these arguments in the background; return its or our exit code."""
    receive, send = os.pipe()
    argv = [sys.executable, "-P", "-m", "replicore", *arguments, f"--ready-fd={send}"]
    child = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, pass_fds=(send,), start_new_session=True
    )
    os.close(send)
    try:
        with os.fdopen(receive, "rb") as pipe:
            is_ready = pipe.read(1) != b""
        if is_ready:
            child.returncode = 0  # it goes on without us, and nobody is to wait for it
            return 0
        return child.wait() or INTERRUPTED_EXIT_CODE  # 0: stopped on request, but never ready
    except KeyboardInterrupt:
        child.terminate()
        child.wait()
        return INTERRUPTED_EXIT_CODE


def let_go(ready_fd: int, log: Path) -> None:
    """Tell the parent that all is ready, and print to ``log`` from now on."""
    sys.stdout.flush()
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    with suppress(BrokenPipeError):  # the parent was killed, which is no reason to stop
        os.write(ready_fd, b"!")
    os.close(ready_fd)
