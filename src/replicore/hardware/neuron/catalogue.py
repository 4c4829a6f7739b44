"""EC2 instance types with AWS Neuron devices, and their chips, as ``catalogue.toml`` has them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Literal

import msgspec

from replicore.cores import CoreRange
from replicore.errors import ConfigError
from replicore.hardware.neuron.instance import Chip, Instance
from replicore.units import GIB
from replicore.wording import listed, nearest, quoted


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    chip: str
    chips: int
    topology: Literal["single", "ring", "torus", "switch"]
    link_bytes_per_s: float | None = None
    vcpus: int | None = None
    ram_gib: int | None = None
    network_bits_per_s: float | None = None
    device_numa: tuple[int, ...] = ()
    numa_cpus: tuple[str, ...] = ()
    unverified: dict[str, str] = {}


class _Tables(msgspec.Struct, forbid_unknown_fields=True):
    chips: dict[str, Chip]
    instances: dict[str, _Entry]


@cache
def instances() -> Mapping[str, Instance]:
    """Return the catalogue, by instance type."""
    tables = _read()
    return {
        name: _instance(name, entry, tables.chips[entry.chip])
        for name, entry in tables.instances.items()
    }


@cache
def chips() -> tuple[Chip, ...]:
    """Return the chips of the catalogue."""
    return tuple(_read().chips.values())


@cache
def _read() -> _Tables:
    text = resources.files(__package__).joinpath("catalogue.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), _Tables, str_keys=True)


def _instance(name: str, entry: _Entry, chip: Chip) -> Instance:
    return Instance(
        type=name,
        chip=chip,
        chips=entry.chips,
        topology=entry.topology,
        link_bytes_per_s=entry.link_bytes_per_s or chip.link_bytes_per_s,
        vcpus=entry.vcpus,
        ram_bytes=None if entry.ram_gib is None else entry.ram_gib * GIB,
        network_bits_per_s=entry.network_bits_per_s,
        device_numa=entry.device_numa,
        numa_cpus=tuple(CoreRange.parse(cpus) for cpus in entry.numa_cpus),
        unverified=entry.unverified,
    )


def find_instance(name: str) -> Instance:
    """Return the instance type of this name.

    Raises:
        ConfigError: The catalogue does not have it.
    """
    known = instances()
    if name in known:
        return known[name]
    near = nearest(name, known)
    raise ConfigError(
        f"engine.neuron.instance: unknown value {quoted(name)} (valid: {listed(known)})"
        + (f"; did you mean {quoted(near)}?" if near else "")
    )
