"""A computer with Neuron devices, as found or as the catalogue has it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain
from typing import Literal

from replicore.cores import CoreRange
from replicore.hardware.machine import Holder
from replicore.hardware.neuron.instance import Chip, Instance


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process that uses a device.

    Attributes:
        pid: As the tool that found it tells it.
        command: As far as it is known; empty where the process is in another pid namespace.
    """

    pid: int
    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One chip.

    Attributes:
        index: As the driver numbers it; a container numbers those that it is given from 0.
        cores: Its logical cores, numbered through all devices.
        numa_node: None where it is not known.
        processes: Those that use it.
    """

    index: int
    cores: CoreRange
    memory_bytes: int
    numa_node: int | None = None
    processes: tuple[Process, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """All that is known of a computer's Neuron devices.

    Attributes:
        name: The instance type, or the chip's name where that is not known.
        instance: The catalogue's entry; None for a type that it does not have.
        lnc: Physical cores per logical core.
        machine_lnc: What the machine is set to, for processes that do not say.
        devices: Those that this process may use, at least one, by index.
        found_by: How: ``neuron-ls``, ``sysfs`` or ``catalogue``.
        holders: Who uses the devices, each process once.
    """

    name: str
    instance: Instance | None
    chip: Chip
    lnc: int
    machine_lnc: int
    devices: tuple[Device, ...]
    found_by: Literal["neuron-ls", "sysfs", "catalogue"]
    holders: tuple[Holder, ...] = ()

    @property
    def cores(self) -> CoreRange:
        return CoreRange.of(chain.from_iterable(device.cores for device in self.devices))


def regrouped(devices: Iterable[Device], lnc: int, wanted: int) -> tuple[Device, ...]:
    """Return the devices with their cores numbered as at another LNC.

    Physical core ``p`` is in logical core ``p // lnc``.
    """
    return tuple(
        replace(
            device,
            cores=CoreRange.of(
                (core * lnc + part) // wanted for core in device.cores for part in range(lnc)
            ),
        )
        for device in devices
    )
