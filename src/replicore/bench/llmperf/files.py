"""The two files of a run, as LLMPerf names and writes them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from replicore.errors import ConfigError
from replicore.files import write_atomically


def file_stem(name: str) -> str:
    """Return ``name`` with every run of characters that are no word's turned into one ``-``."""
    return re.sub(r"-{2,}", "-", re.sub(r"[^\w\d-]+", "-", name))


def check_directory(directory: Path | None) -> None:
    """Refuse a directory that cannot be one, before a run and not after it.

    Raises:
        ConfigError: It is something else.
    """
    if directory is not None and directory.exists() and not directory.is_dir():
        raise ConfigError(f"--results-dir: {directory} is not a directory")


def write_files(
    directory: Path,
    stem: str,
    summary: Mapping[str, object],
    responses: Sequence[Mapping[str, object]],
    *,
    bare_nan: bool,
) -> tuple[Path, Path]:
    """Write both files and return their paths.

    Args:
        bare_nan: Write ``NaN``, which is not JSON, as LLMPerf does; else ``null``.

    Raises:
        ConfigError: They cannot be written.
    """
    paths = (directory / f"{stem}_summary.json", directory / f"{stem}_individual_responses.json")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for path, content in zip(paths, (summary, responses), strict=True):
            write_atomically(path, encode(content, bare_nan=bare_nan))
    except OSError as error:
        raise ConfigError(
            f"--results-dir: {directory}: cannot be written: {error.strerror or error}"
        ) from error
    return paths


def encode(content: object, *, bare_nan: bool) -> bytes:
    """Return JSON with an indent of 4 and no newline at the end, as LLMPerf's files have."""
    return json.dumps(content if bare_nan else _without_nan(content), indent=4).encode()


def _without_nan(content: object) -> object:
    match content:
        case float() if math.isnan(content):
            return None
        case Mapping():
            return {key: _without_nan(value) for key, value in content.items()}
        case list() | tuple():
            return [_without_nan(value) for value in content]
    return content
