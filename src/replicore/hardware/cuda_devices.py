"""What CUDA devices make of a machine: core numbers, NVLink islands, and which are busy. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from replicore.cores import CoreRange
from replicore.hardware.machine import NumaNode
from replicore.units import GIB

# A driver and an idle desktop hold this much of a device that nobody computes on
IDLE_BYTES = 1 * GIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process with memory of a device; pid as the first pid namespace of the machine has it."""

    pid: int
    memory_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A GPU, or a MIG instance of one.

    Attributes:
        gpu: NVML's index of the GPU.
        uuid: Of the device itself, ``GPU-...`` or ``MIG-...``.
        instance: Whether it is a MIG instance.
    """

    gpu: int
    uuid: str
    name: str
    memory_bytes: int
    free_bytes: int
    instance: bool = False
    processes: tuple[Process, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What NVML tells of a machine.

    Attributes:
        devices: In NVML's order.
        silent: GPUs that do not answer.
        linked: Pairs of GPUs that NVLink connects, directly or by switches, lower index first.
        near: Pairs of GPUs on one NUMA node of the host.
    """

    devices: tuple[Device, ...]
    silent: tuple[int, ...] = ()
    linked: frozenset[tuple[int, int]] = frozenset()
    near: frozenset[tuple[int, int]] = frozenset()


def numbered(devices: Collection[Device]) -> dict[int, Device]:
    """Return the devices by core number: the GPU's index, unless a GPU is split."""
    if any(device.instance for device in devices):
        return dict(enumerate(devices))
    return {device.gpu: device for device in devices}


def visible(devices: Mapping[int, Device], text: str | None) -> dict[int, Device]:
    """Return the devices that a value of ``CUDA_VISIBLE_DEVICES`` leaves, by core number.

    As CUDA reads it: numbers or beginnings of UUIDs, up to the first that names no device; a number
    is a GPU that is not split. Numbers are NVML's, as under ``CUDA_DEVICE_ORDER=PCI_BUS_ID``.
    """
    if text is None:
        return dict(devices)
    named: set[int] = set()
    for word in text.split(","):
        core = _named(devices, word.strip())
        if core is None:
            break
        named.add(core)
    return {core: device for core, device in devices.items() if core in named}


def _named(devices: Mapping[int, Device], word: str) -> int | None:
    for core, device in devices.items():
        by_number = not device.instance and word == str(device.gpu)
        by_uuid = word.startswith(("GPU-", "MIG-")) and device.uuid.startswith(word)
        if by_number or by_uuid:
            return core
    return None


def islands(devices: Mapping[int, Device], survey: Survey) -> tuple[NumaNode, ...]:
    """Return the groups of devices that are near to each other, as memory domains.

    NVLink makes an island. GPUs without it are together where they are on one NUMA node of the
    host, and so are the instances of one GPU.
    """
    groups: list[set[int]] = []
    for core, device in devices.items():
        joined = [
            group
            for group in groups
            if any(_are_near(device.gpu, devices[other].gpu, survey) for other in group)
        ]
        groups = [group for group in groups if group not in joined]
        groups.append({core}.union(*joined))
    ranges = sorted((CoreRange.of(group) for group in groups), key=lambda cores: cores.cores)
    return tuple(NumaNode(index=index, cores=cores) for index, cores in enumerate(ranges))


def _are_near(one: int, other: int, survey: Survey) -> bool:
    if one == other:
        return True
    pair = (min(one, other), max(one, other))
    if pair in survey.linked:
        return True
    have_links = {gpu for link in survey.linked for gpu in link}
    return pair in survey.near and not have_links & set(pair)


def is_busy(device: Device, wanted_bytes: int) -> bool:
    """Whether others hold so much of a device that ``wanted_bytes`` of it are not free."""
    held = device.memory_bytes - device.free_bytes
    return device.free_bytes < wanted_bytes and held > IDLE_BYTES
