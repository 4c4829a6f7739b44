"""The files of an artefact: what they were when it was complete, and what they are now."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from xxhash import xxh3_128

from replicore.artefacts.manifest import FileRecord
from replicore.artefacts.whole import why_not_whole

_CHUNK = 4 * 2**20


def output_problems(folder: Path, patterns: Iterable[str]) -> list[str]:
    """Return what is wrong with what a compile was to write, in words.

    Args:
        patterns: Globs below the folder; each must match files, every one of them whole.

    Raises:
        OSError: A file cannot be read.
    """
    problems = []
    for pattern in patterns:
        found = files_to_record(folder, [pattern])
        if not found:
            problems.append(f"{pattern} is missing")
        for path in found:
            problem = why_not_whole(path)
            if problem is not None:
                problems.append(f"{path.relative_to(folder)} {problem}")
    return problems


def files_to_record(folder: Path, patterns: Iterable[str]) -> list[Path]:
    """Return the files that an artefact consists of: those that match.

    Engines add others when they start, such as the tokenizer's, and rewrite those.
    """
    return sorted({path for one in patterns for path in folder.glob(one) if path.is_file()})


def record_file(folder: Path, path: Path) -> FileRecord:
    """Return a file as it is; it is on disk, and not only in memory, when this returns.

    Raises:
        OSError: It cannot be read.
    """
    return FileRecord(
        path=path.relative_to(folder).as_posix(),
        size=path.stat().st_size,
        xxh3=_hash(path, durable=True),
    )


def changed(folder: Path, files: Iterable[FileRecord], *, content: bool = False) -> Iterator[str]:
    """Yield what is different now, in words, file by file.

    Args:
        content: Read all of it; otherwise sizes are compared.

    Raises:
        OSError: A file cannot be read.
    """
    for file in files:
        path = folder / file.path
        try:
            size = path.stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            yield f"{file.path} is missing"
            continue
        if size != file.size:
            yield f"{file.path} has {size} bytes, it had {file.size}"
        elif content and _hash(path) != file.xxh3:
            yield f"{file.path} has other content than it had"


def size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder, as far as they can be seen."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # it is gone already
            total += path.lstat().st_size if path.is_file() else 0
    return total


def _hash(path: Path, *, durable: bool = False) -> str:
    hasher, buffer = xxh3_128(), memoryview(bytearray(_CHUNK))
    with path.open("rb", buffering=0) as file:
        if durable:
            # A manifest that outlived a power cut must not speak of files that did not.
            os.fsync(file.fileno())
        while n := file.readinto(buffer):
            hasher.update(buffer[:n])
    return hasher.hexdigest()
