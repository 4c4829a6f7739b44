"""A deployment in a process of its own: ``replicore up`` as a user runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from replicore.deploy import control
from replicore.deploy.status import Status, UnitStatus

TIMEOUT_S = 60.0

SIMULATED = ("--set", "engine.kind=sim", "--replicas", "2", "--tp", "1")


@dataclass(frozen=True)
class Up:
    """A running deployment.

    Attributes:
        url: Of the front door, with ``/v1``.
        folder: Its state folder.
    """

    process: subprocess.Popen[str]
    url: str
    folder: Path

    @property
    def root_url(self) -> str:
        return self.url.removesuffix("/v1")

    def status(self) -> Status:
        return control.status(self.folder)

    def replica(self, index: int) -> UnitStatus:
        return self.status().replicas[index]

    def is_idle(self) -> bool:
        """Whether the gateway says that nothing is outstanding; it says so once a second."""
        stats = self.status().stats
        return stats is not None and stats.outstanding == stats.queued == 0


@contextmanager
def up(*arguments: str, state: Path, name: str = "test") -> Iterator[Up]:
    """Run ``replicore up`` on any free port for the block; it must then exit with 0."""
    command = [sys.executable, "-m", "replicore", "up", "--name", name, "--port", "0", *arguments]
    environ = {**os.environ, "REPLICORE_STATE_DIR": str(state)}
    with (
        (state.parent / f"{state.name}.stderr").open("w+") as errors,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environ
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("ready "), _text(Path(errors.name))
            yield Up(process, line.split()[1], state / name)
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                assert process.wait(TIMEOUT_S) == 0, _text(Path(errors.name))
        finally:
            process.kill()


def eventually(
    condition: Callable[[], bool], what: str = "", *, within_s: float = TIMEOUT_S
) -> None:
    """Return when ``condition`` holds."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def family(up: Up) -> list[psutil.Process]:
    """Return the supervisor and all that it started."""
    supervisor = psutil.Process(up.process.pid)
    return [supervisor, *supervisor.children(recursive=True)]


def _text(path: Path) -> str:
    return path.read_text()
