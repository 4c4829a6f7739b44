"""Keep what was measured of a CPU in a file, until the hardware changes."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path

import msgspec

from replicore.errors import ConfigError
from replicore.files import write_atomically
from replicore.hardware.cpu_sheet import CpuSheet, sheet_key
from replicore.hardware.machine import Machine
from replicore.spec.toml import toml_value

_HEAD = """\
# What `replicore tune` measured of this machine's cores; bytes and operations per second.
# Delete the file to have it measured again.
"""


def sheet_path(folder: Path, key: str) -> Path:
    """Return the file of a sheet in the folder of the user's calibrations."""
    return folder / "devices" / f"{key}.toml"


def write_sheet(folder: Path, sheet: CpuSheet) -> Path:
    """Write a sheet to the folder, and return its file.

    Raises:
        ConfigError: It cannot be written.
    """
    path = sheet_path(folder, sheet.key)
    values = ((field.name, getattr(sheet, field.name)) for field in fields(sheet))
    lines = [f"{name} = {toml_value(value)}\n" for name, value in values]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, (_HEAD + "".join(lines)).encode())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}") from error
    return path


def read_sheet(folder: Path, machine: Machine) -> CpuSheet | None:
    """Return the sheet of this machine; None where none was made, or of another machine.

    Raises:
        ConfigError: There is one that cannot be read.
    """
    path = sheet_path(folder, sheet_key(machine.name))
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    sheet = _parsed(text, path)
    same = (sheet.name, sheet.cores) == (machine.name, machine.core_limit)
    return sheet if same else None


def _parsed(text: str, path: Path) -> CpuSheet:
    try:
        sheet = msgspec.convert(tomllib.loads(text), CpuSheet)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(
            f"{path}: is not what `replicore tune` writes: {error}",
            hint="delete it, and `replicore tune` measures this machine again",
        ) from error
    lengths = {len(sheet.busy), len(sheet.bytes_per_s), len(sheet.flops)}
    if lengths == {0} or len(lengths) > 1 or sheet.busy[0] != 1:
        raise ConfigError(
            f"{path}: busy, bytes_per_s and flops must be of one length, busy starting with 1",
            hint="delete it, and `replicore tune` measures this machine again",
        )
    return sheet
