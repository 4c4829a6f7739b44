"""The catalogue of accelerators, ``devices.toml`` and AWS's chips, by what people call them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources

import msgspec

from replicore.hardware.device import Device, Kind
from replicore.hardware.neuron.catalogue import chips
from replicore.hardware.neuron.instance import Chip


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    key: str
    name: str
    names: tuple[str, ...]
    kind: Kind
    memory_bytes: int
    bytes_per_s: float
    flops_16: float
    link_bytes_per_s: float
    source: str
    flops_8: float | None = None
    flops_4: float | None = None
    cores: int | None = 8


@cache
def devices() -> Mapping[str, Device]:
    """Return the catalogue by key; AWS's chips by logical core, as they are set when new."""
    entries = {entry.key: _device(entry) for entry in _entries()}
    return entries | {device.key: device for device in _neuron_devices()}


def find_device(name: str) -> Device | None:
    """Return the device of a key, or whose catalogued name is in ``name``; the longest such."""
    wanted = " ".join(name.lower().replace("-", " ").replace("_", " ").split())
    if wanted in devices():
        return devices()[wanted]
    matches = [(alias, key) for alias, key in _names().items() if alias in f" {wanted} "]
    return devices()[max(matches, key=lambda match: len(match[0]))[1]] if matches else None


@cache
def _names() -> Mapping[str, str]:
    """Words with a space on either side, so that H100 is not found in GH100."""
    names = {f" {name} ": entry.key for entry in _entries() for name in entry.names}
    names |= {f" {device.key}": device.key for device in _neuron_devices()}
    return names


@cache
def _entries() -> tuple[_Entry, ...]:
    text = resources.files(__package__).joinpath("devices.toml").read_text(encoding="utf-8")
    return tuple(msgspec.convert(tomllib.loads(text)["devices"], list[_Entry]))


def _device(entry: _Entry) -> Device:
    flops_8 = entry.flops_8 or entry.flops_16
    return Device(
        key=entry.key,
        name=entry.name,
        kind=entry.kind,
        cores=entry.cores,
        memory_bytes=entry.memory_bytes,
        bytes_per_s=entry.bytes_per_s,
        flops_16=entry.flops_16,
        flops_8=flops_8,
        flops_4=entry.flops_4 or flops_8,
        link_bytes_per_s=entry.link_bytes_per_s,
        source=entry.source,
    )


@cache
def _neuron_devices() -> tuple[Device, ...]:
    return tuple(neuron_device(chip, lnc=chip.lnc[0]) for chip in chips())


def neuron_device(chip: Chip, *, lnc: int) -> Device:
    """Return the data sheet of a logical core."""
    cores = chip.cores(lnc)
    return Device(
        key=chip.platform if lnc == chip.lnc[0] else f"{chip.platform}-lnc{lnc}",
        name=f"{chip.name}, logical core of {lnc}",
        kind="neuron",
        cores=None,
        memory_bytes=chip.core_hbm_bytes(lnc),
        bytes_per_s=chip.core_hbm_bytes_per_s(lnc),
        flops_16=chip.core_bf16_flops(lnc),
        flops_8=chip.fp8_flops / cores,
        flops_4=chip.fp8_flops / cores,
        link_bytes_per_s=chip.link_bytes_per_s / cores,
        source=chip.source,
    )
