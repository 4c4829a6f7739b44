"""Telling two models apart that are in the same folder at different times."""

from __future__ import annotations

import hashlib
from pathlib import Path

from replicore.errors import ModelError
from replicore.models.config_json import CONFIG, weight_files
from replicore.models.shape import Model

# Other weights differ nearly everywhere, so that samples show it; reading 140 GB takes minutes.
_SAMPLE_BYTES = 64 * 1024


def fingerprint(model: Model) -> str | None:
    """Return a hash of the model's files: their names and sizes, and samples of each.

    None for a model whose files are not here, or whose commit says what they are.

    Raises:
        ModelError: A file cannot be read.
    """
    if model.revision is not None or model.sizes_from is not None or not model.path.exists():
        return None
    whole = hashlib.blake2b(digest_size=10)
    try:
        for path in _files(model.path):
            whole.update(f"{path.name}\0{path.stat().st_size}\0".encode())
            _add_samples(whole, path)
    except OSError as error:
        raise ModelError(f"{model.path} cannot be read: {error.strerror or error}") from error
    return whole.hexdigest()


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    names = weight_files(file.name for file in path.iterdir())
    return [path / CONFIG, *(path / name for name in names)]


def _add_samples(whole: hashlib.blake2b, path: Path) -> None:
    """Read the beginning, the middle and the end."""
    size = path.stat().st_size
    with path.open("rb") as file:
        for start in (0, size // 2, max(0, size - _SAMPLE_BYTES)):
            file.seek(start)
            whole.update(file.read(_SAMPLE_BYTES))
