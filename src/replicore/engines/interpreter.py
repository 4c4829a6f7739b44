"""Asking the programs of another environment, without importing its packages here."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

import msgspec

from replicore.engines.command import SAFE_PATH
from replicore.errors import ConfigError
from replicore.wording import quoted, shortened

NO_VARIABLES: Mapping[str, str] = MappingProxyType({})
TIMEOUT_S = 60.0

# Of another program's words in a message
_LONGEST_LINE = 300

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """What a program printed.

    Attributes:
        last_line: Of its errors, for people.
    """

    text: str
    last_line: str


def ask_program(argv: Sequence[str], *, env: Mapping[str, str], timeout_s: float) -> Printed:
    """Run a program to its end, which may be a failure, and return what it printed.

    Args:
        env: Variables on top of this process's own.

    Raises:
        OSError: It cannot run.
        subprocess.TimeoutExpired: It does not end; it has been killed.
    """
    done = subprocess.run(
        argv,
        env={**os.environ, **SAFE_PATH, **env},
        stdin=subprocess.DEVNULL,  # a program that reads it would wait for the user
        capture_output=True,
        timeout=timeout_s,
        check=False,
    )
    # Any program may have been named, in any encoding.
    text, errors = (output.decode(errors="replace") for output in (done.stdout, done.stderr))
    last_line = (errors.strip().splitlines() or ["no message"])[-1]
    return Printed(text=text, last_line=shortened(last_line, _LONGEST_LINE))


def ask_interpreter(
    python: str, program: str, answer: type[T], env: Mapping[str, str] = NO_VARIABLES
) -> T:
    """Run ``program`` and return the JSON that it prints, as ``answer``.

    Args:
        env: Variables on top of this process's own, as the engine has them: packages may be found
            by ``PYTHONPATH``.

    Raises:
        ConfigError: The interpreter cannot run, or prints something else.
    """
    try:
        printed = ask_program([python, "-c", program], env=env, timeout_s=TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(
            f"engine.python: {quoted(python)} cannot run: {why_not(error)}",
            hint="it names the Python of the environment that the engine is installed in; "
            "`replicore doctor` and `replicore render` do without it",
        ) from error
    try:
        return msgspec.json.decode(printed.text, type=answer)
    except msgspec.DecodeError as error:
        raise ConfigError(
            f"engine.python: {quoted(python)} is no Python that can be asked for its packages: "
            f"{printed.last_line}"
        ) from error


def why_not(error: OSError | subprocess.TimeoutExpired) -> str:
    """Return why a program did not run to its end, without its name, which may be a whole text."""
    if isinstance(error, subprocess.TimeoutExpired):
        return f"it does not end within {error.timeout:.0f} s"
    return error.strerror or str(error)
