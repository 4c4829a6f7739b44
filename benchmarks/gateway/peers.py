"""The other routers: each installed from the package registry into its own environment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import platformdirs

from benchmarks.result_file import ROOT

DEFAULT_FOLDER = platformdirs.user_cache_path("replicore-benchmarks") / "peers"
_INSTALL_TIMEOUT_S = 1800.0

_COMPILE = MappingProxyType({"HATCH_BUILD_HOOK_ENABLE_CUSTOM": "1"})
_NOTHING: Mapping[str, str] = MappingProxyType({})
# What this process has compiled: the checkout may have changed since any other did.
_built: set[Path] = set()


@dataclass(frozen=True, slots=True)
class Peer:
    """A distribution at the version that is measured."""

    name: str
    version: str
    extra: str = ""

    @property
    def requirement(self) -> str:
        extra = f"[{self.extra}]" if self.extra else ""
        return f"{self.name}{extra}=={self.version}"


VLLM_ROUTER = Peer("vllm-router", "0.1.17")
SGLANG_ROUTER = Peer("sglang-router", "0.3.2")
LITELLM = Peer("litellm", "1.106.2", extra="proxy")


class NotInstalled(Exception):
    """Raised for a peer that the package registry does not give."""


def python_of(peer: Peer, folder: Path) -> Path:
    """Return the interpreter of the peer's environment, which is made where it is missing.

    Raises:
        NotInstalled: pip failed; the message is its last line.
    """
    home = folder / f"{peer.name}-{peer.version}"
    python = home / "bin" / "python"
    if not (home / "installed").exists():
        print(f"installing {peer.requirement} into {home}", file=sys.stderr)
        _run([sys.executable, "-m", "venv", "--clear", str(home)])
        _run([str(python), "-m", "pip", "install", "-q", peer.requirement])
        (home / "installed").touch()
    return python


def compiled_python(folder: Path) -> Path:
    """Return an interpreter that has this checkout with a compiled data path, built anew.

    Raises:
        NotInstalled: There is no C compiler, or pip failed.
    """
    home = folder / "replicore-compiled"
    python = home / "bin" / "python"
    if home not in _built:
        print(f"compiling replicore into {home}", file=sys.stderr)
        _run([sys.executable, "-m", "venv", "--clear", str(home)])
        _run([str(python), "-m", "pip", "install", "-q", str(ROOT)], _COMPILE)
        _built.add(home)
    return python


def _run(argv: list[str], environ: Mapping[str, str] = _NOTHING) -> None:
    env = {**os.environ, **environ}
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT_S, env=env
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(str(error)) from error
    if done.returncode:
        raise NotInstalled((done.stderr.strip().splitlines() or ["pip failed"])[-1])
