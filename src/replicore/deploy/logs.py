"""Reading the logs of replicas and the gateway while they are written, rotated and begun anew."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from replicore.deploy.state import log_files, rotated


class LogReader:
    """Reads one unit's log, from incarnation to incarnation.

    Args:
        unit: A replica's name, or ``gateway``.
        last: How many lines of what is there already to begin with.
    """

    def __init__(self, folder: Path, unit: str, *, last: int) -> None:
        self.unit = unit
        self._folder = folder
        self._file: BinaryIO | None = None
        self._partial = b""
        self._first = deque(self._read_all(), maxlen=last)
        self._fill_up(last)

    def read(self) -> list[str]:
        """Return the whole lines that are new since the last call, without their ends."""
        lines = [*self._first, *self._read_all()]
        self._first.clear()
        return lines

    def finish(self) -> list[str]:
        """Return the last lines, instead of :meth:`read`; the very last one may have no end yet."""
        self._first.extend([*self._read_all(), *self._take_partial()])
        return list(self._first)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _fill_up(self, last: int) -> None:
        """Go back to older incarnations: what a restart was for is said in the one before it."""
        for path in self._older_files():
            missing = last - len(self._first)
            if missing <= 0:
                return
            self._first.extendleft(reversed(self._read_lines(path)[-missing:]))

    def _older_files(self) -> Iterator[Path]:
        for path in reversed(log_files(self._folder, self.unit)):
            yield path
            yield rotated(path)

    def _read_lines(self, path: Path) -> list[str]:
        """Return the lines of a file that is written no more; none if it is the one in hand."""
        try:
            lines = b"" if self._is_open(path) else path.read_bytes()
        except FileNotFoundError:
            return []
        return _split(lines.removesuffix(b"\n")) if lines else []

    def _read_all(self) -> list[str]:
        lines = self._read_file()
        while (newer := self._open_newer()) is not None:
            # The file in hand is complete now; a line without an end gets none any more.
            lines += [*self._read_file(), *self._take_partial()]
            self.close()
            self._file = newer
            lines += self._read_file()
        return lines

    def _read_file(self) -> list[str]:
        if self._file is None:
            return []
        whole, newline, self._partial = (self._partial + self._file.read()).rpartition(b"\n")
        return _split(whole) if newline else []

    def _take_partial(self) -> list[str]:
        partial, self._partial = self._partial, b""
        return _split(partial) if partial else []

    def _open_newer(self) -> BinaryIO | None:
        """Return the file that the unit writes to now; None if it is the one in hand."""
        newest = log_files(self._folder, self.unit)[-1:]
        try:
            return newest[0].open("rb") if newest and not self._is_open(newest[0]) else None
        except FileNotFoundError:  # pruned, or in the moment of its rotation
            return None

    def _is_open(self, path: Path) -> bool:
        if self._file is None:
            return False
        return os.path.samestat(path.stat(), os.fstat(self._file.fileno()))


def _split(lines: bytes) -> list[str]:
    return [line.decode("utf-8", "replace").rstrip("\r") for line in lines.split(b"\n")]
