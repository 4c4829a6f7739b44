"""Reading the logs of replicas and the gateway while they are written, rotated and begun anew."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path
from typing import BinaryIO

from replicore.deploy.state import log_files


class LogReader:
    """Reads one unit's log, from incarnation to incarnation.

    Args:
        unit: A replica's name, or ``gateway``.
        last: How many lines of what is there already to begin with.
    """

    def __init__(self, folder: Path, unit: str, *, last: int) -> None:
        self.unit = unit
        self._folder = folder
        self._path: Path | None = None
        self._file: BinaryIO | None = None
        self._partial = b""
        self._first = deque(self._read_all(), maxlen=last)

    def read(self) -> list[str]:
        """Return the whole lines that are new since the last call, without their ends."""
        lines = [*self._first, *self._read_all()]
        self._first.clear()
        return lines

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read_all(self) -> list[str]:
        lines = self._read_file()
        while self._open_next():
            lines += self._read_file()
        return lines

    def _read_file(self) -> list[str]:
        if self._file is None:
            return []
        *lines, self._partial = (self._partial + self._file.read()).split(b"\n")
        return [line.decode("utf-8", "replace").rstrip("\r") for line in lines]

    def _open_next(self) -> bool:
        """Open the file that the unit writes to now; return whether it is another one."""
        newest = log_files(self._folder, self.unit)[-1:]
        if not newest or (newest[0] == self._path and not self._is_rotated()):
            return False
        try:
            file = newest[0].open("rb")
        except FileNotFoundError:  # pruned, or in the moment of its rotation
            return False
        self.close()
        self._path, self._file, self._partial = newest[0], file, b""
        return True

    def _is_rotated(self) -> bool:
        if self._path is None or self._file is None:
            return False
        try:
            return self._path.stat().st_ino != os.fstat(self._file.fileno()).st_ino
        except FileNotFoundError:
            return False
