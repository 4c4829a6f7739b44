"""What ``neuron-ls --json-output`` prints: an array with an object for each device. Pure.

Old tools lack ``logical_neuroncore_config`` and ``instance_type``; in a container devices and cores
are numbered from 0 whatever they are outside, so only ``neuroncore_ids`` are to be trusted.

Source: SDK tools/neuron-sys-tools/neuron-ls.rst, and captured output.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from replicore.cores import CoreRange
from replicore.hardware.neuron.node import Device, Process


class _Process(msgspec.Struct):
    pid: int
    command: str = ""


class _Row(msgspec.Struct):
    neuron_device: int
    nc_count: int
    memory_size: int
    neuroncore_ids: tuple[int, ...] = ()
    logical_neuroncore_config: int | None = None
    numa_node: str | int = ""
    instance_type: str = ""
    connected_to: tuple[int, ...] | None = ()
    neuron_processes: tuple[_Process, ...] | None = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The devices, by index.

    Attributes:
        instance_type: None from tools that do not tell it.
        lnc: Physical cores per logical core; None from tools that do not tell it.
        links: Other devices that one is linked to; in a container too, which may lack those.
    """

    devices: tuple[Device, ...]
    instance_type: str | None
    lnc: int | None
    links: int


def parse_listing(text: str) -> Listing | None:
    """Return what ``neuron-ls`` printed; None where that is no list of devices, or an empty one.

    For an option that it does not know ``neuron-ls`` prints a text, and exits with 0.
    """
    try:
        rows = msgspec.json.decode(text, type=list[_Row])
    except msgspec.DecodeError:
        return None
    rows = sorted((row for row in rows if row.nc_count), key=lambda row: row.neuron_device)
    if not rows:
        return None
    return Listing(
        devices=tuple(_device(row) for row in rows),
        instance_type=next((row.instance_type for row in rows if row.instance_type), None),
        lnc=rows[0].logical_neuroncore_config,
        links=max(len(row.connected_to or ()) for row in rows),
    )


def _device(row: _Row) -> Device:
    return Device(
        index=row.neuron_device,
        cores=_cores(row),
        memory_bytes=row.memory_size,
        numa_node=_numa_node(row.numa_node),
        processes=tuple(
            Process(pid=process.pid, command=process.command)
            for process in row.neuron_processes or ()
        ),
    )


def _cores(row: _Row) -> CoreRange:
    """Return the logical cores.

    Some tools list physical ones on trn3, of which each logical core has ``lnc``.
    """
    if not row.neuroncore_ids:
        first = row.neuron_device * row.nc_count
        return CoreRange.of(range(first, first + row.nc_count))
    if len(row.neuroncore_ids) == row.nc_count:
        return CoreRange.of(row.neuroncore_ids)
    lnc = row.logical_neuroncore_config or 1
    return CoreRange.of(core // lnc for core in row.neuroncore_ids)


def _numa_node(text: str | int) -> int | None:
    """Return the node; the kernel writes -1 where it knows of none."""
    node = int(text) if str(text).isdecimal() else -1
    return None if node < 0 else node
