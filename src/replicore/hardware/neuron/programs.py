"""Running AWS's tools."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from threading import Timer
from typing import Protocol

TIMEOUT_S = 30.0

# Where AWS's packages put the tools; often not on the path of a service.
FOLDER = Path("opt/aws/neuron/bin")


class Run(Protocol):
    """Runs a program to its end, or until it has written a line."""

    def __call__(self, argv: Sequence[str], *, first_line: bool = False) -> str | None:
        """Return what it wrote to standard output; None where it is not there, or failed."""
        ...


def tool(name: str, root: Path) -> str:
    """Return how to call a tool of AWS's packages."""
    installed = root / FOLDER / name
    return str(installed) if installed.exists() else name


def run_program(argv: Sequence[str], *, first_line: bool = False) -> str | None:
    """Run a program, for half a minute at most; see :class:`Run`."""
    try:
        return _first_line(argv) if first_line else _whole(argv)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None


def _whole(argv: Sequence[str]) -> str:
    return subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=True,
    ).stdout


def _first_line(argv: Sequence[str]) -> str | None:
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        deadline = Timer(TIMEOUT_S, process.kill)
        deadline.start()
        try:
            return process.stdout.readline() or None if process.stdout else None
        finally:
            deadline.cancel()
            process.kill()
