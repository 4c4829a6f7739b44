"""Whether a file was written to its end, as far as its own form tells.

A compile that is killed, or finds the disk full, leaves ``model.pt`` cut off; NxD Inference takes
any file of that name for a compiled model.
"""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

_LENGTH = struct.Struct("<Q")
_LONGEST_HEADER = 100_000_000  # safetensors' own limit, bytes


def why_not_whole(path: Path) -> str | None:
    """Return what is wrong with a file, as the end of a sentence; None if nothing can be seen.

    Raises:
        OSError: It cannot be read.
    """
    if path.stat().st_size == 0:
        return "is empty"
    check = _CHECKS.get(path.suffix)
    return check(path) if check is not None else None


def _torch(path: Path) -> str | None:
    """``torch.save`` and ``torch.jit.save`` write a ZIP file, whose directory comes last."""
    try:
        with zipfile.ZipFile(path):
            return None
    except zipfile.BadZipFile:
        return "is cut off: the directory at the end of what torch writes is missing"


def _safetensors(path: Path) -> str | None:
    """The header says where the last tensor ends."""
    with path.open("rb") as file:
        start = file.read(_LENGTH.size)
        length = _LENGTH.unpack(start)[0] if len(start) == _LENGTH.size else _LONGEST_HEADER + 1
        if length > _LONGEST_HEADER:
            return "has no safetensors header"
        header = file.read(length)
    try:
        tensors: dict[str, dict[str, list[int]]] = json.loads(header)
        ends = [one["data_offsets"][1] for name, one in tensors.items() if name != "__metadata__"]
    except (ValueError, LookupError, TypeError, AttributeError):
        return "has a broken safetensors header"
    wanted, found = _LENGTH.size + length + max(ends, default=0), path.stat().st_size
    return None if wanted == found else f"is cut off: {found} bytes of {wanted}"


def _json(path: Path) -> str | None:
    try:
        json.loads(path.read_bytes())
    except ValueError:
        return "is not whole JSON"
    return None


_CHECKS: Mapping[str, Callable[[Path], str | None]] = MappingProxyType(
    {".pt": _torch, ".safetensors": _safetensors, ".json": _json}
)
