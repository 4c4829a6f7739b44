"""A sweep's journal: one JSON object a line, each on the disk before the next run begins.

``replicore tune`` keeps one too, under a schema of its own.

A line that was cut by a crash is the last one; it is dropped, and its run is made again.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from replicore.bench.sweep.entries import Begun, Entry, Failed, Run
from replicore.bench.sweep.plan import Point
from replicore.errors import ConfigError, ReplicoreError
from replicore.wording import pluralize, shortened

NAME = "journal.jsonl"


@dataclass(slots=True, kw_only=True)
class Kept:
    """What a journal says.

    Attributes:
        runs: In the order in which they were made.
        failed: The last failure of each layout that failed.
    """

    begun: Begun
    runs: dict[Point, Run] = field(default_factory=dict)
    failed: dict[str, Failed] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        match entry:
            case Run():
                self.runs[entry.point] = entry
                self.failed.pop(entry.layout, None)
            case Failed():
                self.failed[entry.layout] = entry
            case Begun():
                self.begun = entry


class Journal:
    """A journal that is being written; :func:`opened` makes one.

    Attributes:
        kept: All that it says, what was just written included.
    """

    def __init__(self, path: Path, fd: int, kept: Kept) -> None:
        self.kept = kept
        self._path = path
        self._fd = fd

    @property
    def folder(self) -> Path:
        return self._path.parent

    def append(self, entry: Run | Failed) -> None:
        """Write an entry; it is on the disk when this returns.

        Raises:
            ReplicoreError: It cannot be written.
        """
        with _usable(self._path):
            _write(self._fd, entry)
        self.kept.add(entry)


@contextmanager
def opened(folder: Path, begun: Begun, *, resume: bool) -> Iterator[Journal]:
    """Begin a journal in ``folder``, or go on with the one that is there.

    Args:
        begun: The first entry of a new one; one that is there must have its conditions.

    Raises:
        ConfigError: There is one, and ``resume`` is false, or it is of another sweep.
        ReplicoreError: Another process writes it, or it cannot be read or written.
    """
    path = folder / NAME
    with _usable(path):
        folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        _lock(fd, path)
        with _usable(path):
            kept = _begin_or_resume(fd, path, begun, resume=resume)
        yield Journal(path, fd, kept)
    finally:
        os.close(fd)


def _begin_or_resume(fd: int, path: Path, begun: Begun, *, resume: bool) -> Kept:
    data = _whole_lines(fd)
    kept = _parse(data, path, begun) if data else Kept(begun=begun)
    if not data or (not resume and not kept.runs):
        os.ftruncate(fd, 0)
        _write(fd, begun)
        return Kept(begun=begun)
    if not resume:
        raise ConfigError(
            f"{path} has {begun.what} of {pluralize(len(kept.runs), 'run')} already",
            hint="--resume goes on with it; -o names another folder",
        )
    _check_same(begun.conditions, kept.begun.conditions, path)
    return kept


def _whole_lines(fd: int) -> bytes:
    """Return the journal up to its last whole line, and cut it there."""
    data = os.pread(fd, os.fstat(fd).st_size, 0)
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        os.ftruncate(fd, len(whole))
    return whole


def _parse(data: bytes, path: Path, begun: Begun) -> Kept:
    kept: Kept | None = None
    decoder = msgspec.json.Decoder(Entry)
    for number, line in enumerate(data.splitlines(), start=1):
        try:
            entry = decoder.decode(line)
        except msgspec.DecodeError as error:
            raise ReplicoreError(
                f"{path}: line {number} is no entry of {begun.what}: {error}"
            ) from None
        if kept is None:
            kept = Kept(begun=_first(entry, path, begun))
        else:
            kept.add(entry)
    if kept is None:
        raise ReplicoreError(f"{path}: the journal is empty; its first line says what it is of")
    return kept


def _first(entry: Entry, path: Path, begun: Begun) -> Begun:
    if not isinstance(entry, Begun) or entry.schema != begun.schema:
        raise ReplicoreError(
            f"{path}: line 1 does not begin {begun.what} of the schema {begun.schema}; "
            "it can be resumed by the command and the version that began it"
        )
    return entry


def _check_same(now: Mapping[str, str], then: Mapping[str, str], path: Path) -> None:
    """Refuse to mix runs under different conditions."""
    for key in sorted({*now, *then}):
        if now.get(key) != then.get(key):
            raise ConfigError(
                f"{path} was measured with {key} = {shortened(then.get(key, 'unset'))}, now it is "
                f"{shortened(now.get(key, 'unset'))}; runs of both cannot be compared",
                hint="set it back, or begin anew with -o",
            )


def _write(fd: int, entry: Entry) -> None:
    line = msgspec.json.encode(entry) + b"\n"
    while line:
        line = line[os.write(fd, line) :]
    os.fsync(fd)


def _lock(fd: int, path: Path) -> None:
    """Keep the journal for ourselves; the kernel lets go of it when this process ends."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ReplicoreError(
            f"{path} is being written by another process; wait for it, or name another folder "
            "with -o"
        ) from None


@contextmanager
def _usable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ReplicoreError(
            f"{path}: cannot be used: {error.strerror or error}",
            hint="-o names another folder",
        ) from error
