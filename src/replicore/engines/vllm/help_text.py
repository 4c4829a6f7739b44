"""The options that an installed vLLM has, from its ``--help``.

That takes ten seconds, most of it imports, so the answer is kept, by interpreter and version.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from replicore.engines.interpreter import NO_VARIABLES, ask_program, why_not
from replicore.engines.vllm.installation import Installation
from replicore.engines.vllm.launch import MODULE
from replicore.engines.vllm.options import check_known
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


def check_options(
    options: Collection[str],
    python: str,
    found: Installation,
    *,
    cache: Path,
    env: Mapping[str, str] = NO_VARIABLES,
) -> None:
    """Compare options of ``engine.args`` with those that the vLLM of ``python`` has.

    Slow the first time, and where there is an option that it does not have: a kept answer may be
    of another build, as a checkout that is installed in place keeps its version.

    Args:
        cache: Folder for answers.
        env: Variables on top of this process's own.

    Raises:
        ConfigError: It does not have one of them, or does not print its help.
    """
    if not options:
        return
    path = cache / "vllm-options" / f"{_key(python, found)}.json"
    known = _read(path)
    if not known.issuperset(options):
        known = options_in(_help(python, env))
        _write(path, known)
    check_known(options, known, found.version)


def _key(python: str, found: Installation) -> str:
    return hashlib.sha256(f"{python}\0{found.version}\0{found.torch}".encode()).hexdigest()[:16]


def _read(path: Path) -> frozenset[str]:
    """Return what was kept; no options where nothing was, or nothing that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=frozenset[str])
    except (OSError, msgspec.DecodeError):
        return frozenset()


def _write(path: Path, options: frozenset[str]) -> None:
    # A cache that cannot be written makes the next start slower, and nothing else.
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, msgspec.json.encode(sorted(options)))


def _help(python: str, env: Mapping[str, str]) -> str:
    """Return the whole help: of ``--help=all``, or of ``--help`` where that is all there is."""
    problem = ""
    for flag in ("--help=all", "--help"):
        try:
            printed = ask_program([python, "-m", MODULE, flag], env=env, timeout_s=TIMEOUT_S)
        except (OSError, subprocess.TimeoutExpired) as error:
            problem = why_not(error)
            continue
        if "--tensor-parallel-size" in printed.text:
            return printed.text
        problem = printed.last_line
    raise ConfigError(
        f"engine.args: the vLLM of {quoted(python)} does not say which options it has: {problem}"
    )
