"""From paths to runs: reads files, finds out which tool wrote each, and what lies beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from replicore.bench.compare.formats import aiperf, guidellm, llmperf, replicore, vllm
from replicore.bench.compare.formats.source import Source, objects
from replicore.bench.compare.measured import Measured
from replicore.errors import ConfigError
from replicore.wording import listed, quoted

# What a folder is searched for, first come first served.
_IN_FOLDER = (
    "profile_export_aiperf.json",
    "benchmarks.json",
    "*_summary.json",
    "bench-*.json",
    "*.json",
)
_SOLID = re.compile(r"\S")
_NAMES = (replicore.TOOL, llmperf.TOOL, vllm.TOOL, guidellm.TOOL, aiperf.TOOL)
_OTHERS: tuple[tuple[Callable[[object], bool], Callable[[Source], list[Measured]]], ...] = (
    (llmperf.recognises, llmperf.read),
    (vllm.recognises, vllm.read),
    (guidellm.recognises, guidellm.read),
    (aiperf.recognises, aiperf.read),
)


def read_runs(paths: Sequence[str]) -> list[Measured]:
    """Read the runs of all files, in their order; ``FILE#2`` is the second run of a file.

    Among results of our own alone, latencies are of their steady windows; beside those of another
    tool they are of the whole run, as that tool's are.

    Raises:
        ConfigError: A file cannot be read, or is of no known format, or has no such run.
    """
    opened = [_open(path) for path in paths]
    whole_run = not all(file.ours for file in opened)
    return [run for file in opened for run in file.runs(whole_run=whole_run)]


@dataclass(frozen=True, slots=True)
class _File:
    """One file's documents.

    Attributes:
        only: Which of its runs is asked for, counted from 1; None for all.
        ours: Whether replicore wrote it.
    """

    path: Path
    sources: Sequence[Source]
    only: int | None
    ours: bool

    def runs(self, *, whole_run: bool) -> list[Measured]:
        with _naming(self.path):
            found = [run for it in self.sources for run in _read(it, whole_run=whole_run)]
        if self.only is None:
            return found
        if not 1 <= self.only <= len(found):
            raise ConfigError(f"{self.path}: there is no run #{self.only}; it has {len(found)}")
        return [found[self.only - 1]]


def _open(text: str) -> _File:
    path, only = _chosen(text)
    path = _file_of(path)
    documents = _parsed(path)
    if not documents:
        raise ConfigError(f"{path}: is empty, so there is no result in it")
    sources = [
        Source(_label(path, place, len(documents)), document, _neighbours(path))
        for place, document in enumerate(documents, start=1)
    ]
    with _naming(path):
        ours = all(replicore.recognises(source.document) for source in sources)
    return _File(path, sources, only, ours)


def _label(path: Path, place: int, several: int) -> str:
    return path.name if several == 1 else f"{path.name}#{place}"


def _chosen(text: str) -> tuple[Path, int | None]:
    """Split ``FILE#2``, unless there is a file of that very name."""
    name, mark, number = text.rpartition("#")
    if not mark or not number.isdecimal() or Path(text).exists():
        return Path(text), None
    return Path(name), int(number)


def _file_of(path: Path) -> Path:
    """Return the path itself, or the one result file of a folder.

    Raises:
        ConfigError: The folder has none, or several.
    """
    if not path.is_dir():
        return path
    for pattern in _IN_FOLDER:
        found = sorted(path.glob(pattern))
        if len(found) > 1:
            raise ConfigError(
                f"{path}: holds {len(found)} result files; name one of "
                f"{listed(file.name for file in found[:5])}"
            )
        if found:
            return found[0]
    raise ConfigError(f"{path}: is a folder without a .json file")


def _parsed(path: Path) -> list[Any]:
    """Return the documents of a file: one, or several that follow each other.

    Raises:
        ConfigError: It cannot be read, or is not JSON.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"{path}: cannot be read: {reason}") from error
    try:
        return _documents(text)
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{path}:{error.lineno}: is not JSON: {error.msg[:1].lower()}{error.msg[1:]}",
            hint=f"results of these tools can be compared: {', '.join(_NAMES)}",
        ) from error


def _documents(text: str) -> list[Any]:
    # The json module reads the bare NaN that LLMPerf writes.
    decode = json.JSONDecoder().raw_decode
    found, place = [], 0
    while (start := _SOLID.search(text, place)) is not None:
        document, place = decode(text, start.start())
        found.append(document)
    return found


def _neighbours(file: Path) -> Callable[[str], Sequence[Mapping[str, Any]]]:
    def beside(name: str) -> Sequence[Mapping[str, Any]]:
        path = file.with_name(Path(name).name)
        if path == file or not path.is_file():
            return []
        found = _parsed(path)
        return objects(found[0] if len(found) == 1 and isinstance(found[0], list) else found)

    return beside


def _read(source: Source, *, whole_run: bool) -> list[Measured]:
    if replicore.recognises(source.document):
        return replicore.read(source, whole_run=whole_run)
    for recognises, read in _OTHERS:
        if recognises(source.document):
            return read(source)
    raise ConfigError(
        f"is not a result that can be compared; these can: {', '.join(_NAMES)}", hint=_hint(source)
    )


def _hint(source: Source) -> str | None:
    document = source.document
    if not isinstance(document, dict):
        return None
    if str(document.get("schema", "")).startswith("replicore-demo/"):
        return "compare the result files of its layouts, which lie beside it"
    return f"its first keys are {', '.join(quoted(key) for key in list(document)[:4])}"


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the path before what a reader complains of."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.message}", hint=error.hint) from error
