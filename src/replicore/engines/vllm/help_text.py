"""The options that an installed vLLM has, from its ``--help``.

That takes ten seconds, most of it imports, so the answer is kept, by interpreter and version.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from replicore.engines.vllm.installation import NO_VARIABLES, Installation
from replicore.engines.vllm.launch import MODULE, SAFE_PATH
from replicore.errors import ConfigError
from replicore.files import write_atomically
from replicore.wording import quoted

TIMEOUT_S = 180.0

# "  --tensor-parallel-size SIZE, -tp SIZE": an option's own line is indented by two blanks
_LINE = re.compile(r"^ {2}-.*$", re.MULTILINE)
_NAME = re.compile(r"(?:^| )(--?[A-Za-z][A-Za-z0-9-]*)")


def options_in(text: str) -> frozenset[str]:
    """Return the options that a help text has, with their short forms."""
    return frozenset(name for line in _LINE.findall(text) for name in _NAME.findall(line))


def known_options(
    python: str, found: Installation, *, cache: Path, env: Mapping[str, str] = NO_VARIABLES
) -> frozenset[str]:
    """Return the options of the vLLM that ``python`` has; slow the first time.

    Args:
        cache: Folder for answers.
        env: Variables on top of this process's own.

    Raises:
        ConfigError: vLLM does not print its help.
    """
    path = cache / "vllm-options" / f"{_key(python, found)}.json"
    options = _read(path)
    if options is None:
        options = options_in(_help(python, env))
        _write(path, options)
    return options


def _key(python: str, found: Installation) -> str:
    return hashlib.sha256(f"{python}\0{found.version}\0{found.torch}".encode()).hexdigest()[:16]


def _read(path: Path) -> frozenset[str] | None:
    """Return what was kept; None where nothing was, or nothing that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=frozenset[str])
    except (OSError, msgspec.DecodeError):
        return None


def _write(path: Path, options: frozenset[str]) -> None:
    # A cache that cannot be written makes the next start slower, and nothing else.
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, msgspec.json.encode(sorted(options)))


def _help(python: str, env: Mapping[str, str]) -> str:
    """Return the whole help: of ``--help=all``, or of ``--help`` where that is all there is."""
    for flag in ("--help=all", "--help"):
        text, last_line = _run([python, "-m", MODULE, flag], env)
        if "--tensor-parallel-size" in text:
            return text
    raise ConfigError(
        f"engine.args: the vLLM of {quoted(python)} does not say which options it has: {last_line}"
    )


def _run(argv: list[str], env: Mapping[str, str]) -> tuple[str, str]:
    """Return what the command prints, and the last line of its errors."""
    environment = {**os.environ, **SAFE_PATH, **env}
    try:
        done = subprocess.run(
            argv, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", str(error)
    return done.stdout, (done.stderr.strip().splitlines() or ["no message"])[-1]
