"""Files: where those go that can be made again, and how they are written."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

CACHE_VARIABLE = "REPLICORE_CACHE_DIR"


def cache_folder() -> Path:
    """Return the folder for what can be made or downloaded again."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen) if chosen else platformdirs.user_cache_path("replicore")


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; after a crash it holds what it held before, or ``data``.

    Raises:
        OSError: It cannot be written.
        ValueError: ``path`` has a null byte.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
