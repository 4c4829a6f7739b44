"""How findings are made and worded."""

from __future__ import annotations

from pathlib import Path

from replicore.errors import ReplicoreError
from replicore.findings import Finding, Level
from replicore.hardware.kernel_files import read_kernel_file
from replicore.spec.keys import keys
from replicore.units import GIB, MIB


def ok(check: str, message: str) -> Finding:
    return Finding(level="ok", check=check, message=message)


def warning(check: str, message: str, fix: str, *, key: str = "") -> Finding:
    return Finding(level="warning", check=check, message=message, fix=fix, key=key)


def error(check: str, message: str, fix: str, *, key: str = "") -> Finding:
    return Finding(level="error", check=check, message=message, fix=fix, key=key)


def error_of(check: str, cause: ReplicoreError, *, level: Level = "error") -> Finding:
    """Return an error as a finding, its hint as what to change."""
    key = cause.message.partition(":")[0]
    return Finding(
        level=level,
        check=check,
        message=cause.message,
        fix=cause.hint or "",
        key=key if tuple(key.split(".")) in keys() else "",
    )


def readable(size: float) -> str:
    """Return a size for people: ``1.5 GiB``, ``64 MiB``."""
    if size >= GIB:
        return f"{size / GIB:.{0 if size >= 100 * GIB else 1}f} GiB"
    return f"{size / MIB:.0f} MiB"


def variable_of(root: Path, pid: int, name: str) -> str | None:
    """Return a variable that a process was started with; None where it has none, or may hide it."""
    variables = (read_kernel_file(root / f"proc/{pid}/environ") or "").split("\0")
    mark = f"{name}="
    return next((text.removeprefix(mark) for text in variables if text.startswith(mark)), None)
