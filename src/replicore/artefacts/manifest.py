"""``manifest.json``: what an artefact was made of, and which files it has. Written last.

An artefact without a manifest is not one: its compile was aborted, or somebody else made it.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec

from replicore.errors import ArtefactError
from replicore.files import write_atomically

MANIFEST = "manifest.json"

# Raised when a reader of this version could misunderstand the file; a new key alone does not.
_FORMAT = 1


class FileRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it was when the artefact was complete.

    Attributes:
        path: Below the artefact's folder, with ``/``.
        size: Bytes.
        xxh3: 128-bit XXH3 of its content, in hexadecimal: against truncation and rotten disks, not
            against somebody who means harm.
    """

    path: str
    size: int
    xxh3: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """An artefact's description.

    Attributes:
        fields: Of the recipe, whole: what it depends on.
        files: Those that match the recipe's ``outputs``, as engines add others when they start;
            none of a cache, which an engine changes.
        made_at: When it was complete.
        made_by: The version of replicore.
        seconds: How long it took; None where that is not known.
        adopted_from: The folder of somebody else's compile that it came from.
    """

    digest: str
    fields: dict[str, Any]
    files: tuple[FileRecord, ...] = ()
    made_at: Annotated[datetime, msgspec.Meta(tz=True)]
    made_by: str
    seconds: float | None = None
    adopted_from: str | None = None
    format: int = _FORMAT


class _Format(msgspec.Struct):
    format: int


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write it whole or not at all.

    Raises:
        OSError: It cannot be written.
    """
    write_atomically(folder / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest; None where there is none.

    Raises:
        ArtefactError: There is something, and it cannot be read.
    """
    path = folder / MANIFEST
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read: {error.strerror}") from error
    _check_format(path, data)
    try:
        return msgspec.json.decode(data, type=Manifest)
    except msgspec.DecodeError as error:
        raise ArtefactError(f"{path} is no manifest: {error}") from error


def _check_format(path: Path, data: bytes) -> None:
    """Tell a manifest of a later replicore from one that is broken, before its keys are read."""
    try:
        found = msgspec.json.decode(data, type=_Format).format
    except msgspec.DecodeError as error:
        raise ArtefactError(f"{path} is no manifest: {error}") from error
    if found > _FORMAT:
        raise ArtefactError(
            f"{path} has format {found}, which a later replicore wrote; this one reads {_FORMAT}"
        )
