"""Asking another environment's interpreter, without importing that environment's packages here."""

from __future__ import annotations

import subprocess
from typing import TypeVar

import msgspec

from replicore.errors import ConfigError
from replicore.wording import quoted

TIMEOUT_S = 60.0

T = TypeVar("T")


def ask_interpreter(python: str, program: str, answer: type[T]) -> T:
    """Run ``program`` and return the JSON that it prints, as ``answer``.

    It runs isolated: neither variables nor the working directory add packages.

    Raises:
        ConfigError: The interpreter cannot run, or prints something else.
    """
    argv = [python, "-I", "-c", program]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"engine.python: {quoted(python)} cannot run: {error}") from error
    try:
        return msgspec.json.decode(done.stdout, type=answer)
    except msgspec.DecodeError as error:
        last_line = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ConfigError(
            f"engine.python: {quoted(python)} is no Python that can be asked for its packages: "
            f"{last_line}"
        ) from error
