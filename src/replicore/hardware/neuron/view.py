"""A computer with Neuron devices, seen as a machine that replicas are placed on. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from replicore.cores import NO_CORES, CoreRange
from replicore.hardware.machine import Machine, NumaNode
from replicore.hardware.neuron.degrees import documented_tp, unverified_tp
from replicore.hardware.neuron.node import Device, Node
from replicore.wording import quoted


def machine_of(node: Node) -> Machine:
    """Return the machine; its memory is the devices' own."""
    chip, cores = node.chip, node.cores
    by_chip = chip.alignment == "chip"
    return Machine(
        kind="neuron",
        name=node.name,
        cores=cores,
        core_limit=len(cores),
        numa=_numa(node),
        memory_bytes=sum(device.memory_bytes for device in node.devices),
        core_memory_bytes=min(d.memory_bytes // len(d.cores) for d in node.devices),
        legal_tp=documented_tp(chip, len(cores)),
        unverified_tp=unverified_tp(chip, len(cores)),
        aligned=not by_chip,
        chip_cores=chip.cores(node.lnc) if by_chip else None,
        busy=CoreRange.of(core for holder in node.holders for core in holder.cores),
        holders=node.holders,
        note="; ".join(_notes(node)),
        planned_by=_planned_by(node),
    )


def _numa(node: Node) -> tuple[NumaNode, ...]:
    cores: dict[int, CoreRange] = {}
    for device in node.devices:
        index = _numa_node(device, node)
        cores[index] = cores.get(index, NO_CORES) | device.cores
    return tuple(NumaNode(index=index, cores=cores[index]) for index in sorted(cores))


def _numa_node(device: Device, node: Node) -> int:
    if device.numa_node is not None:
        return device.numa_node
    known = node.instance.device_numa if node.instance else ()
    # In a container device 0 may be any device of the instance.
    return known[device.index] if len(known) == len(node.devices) else 0


def _planned_by(node: Node) -> str | None:
    return f"engine.neuron.instance: {quoted(node.name)}" if node.found_by == "catalogue" else None


def _notes(node: Node) -> Iterator[str]:
    if node.found_by == "catalogue":
        yield f"{node.name} is taken from the catalogue, not found here"
    if node.found_by == "sysfs":
        yield "neuron-ls lists no devices, so the driver's own files were read"
    if node.instance and len(node.devices) < node.instance.chips:
        yield f"{len(node.devices)} of the {node.instance.chips} devices are to be seen here"
    if node.lnc != node.machine_lnc:
        yield f"the machine is set to LNC {node.machine_lnc}, the cores are numbered at {node.lnc}"
    unverified = list(_unverified(node))
    if unverified:
        yield f"unverified: {'; '.join(unverified)}"


def _unverified(node: Node) -> Iterator[str]:
    """Yield what cores, degrees or their places rest on without AWS's word for it."""
    if node.instance:
        yield from node.instance.unverified.values()
    if node.lnc != node.machine_lnc and node.holders:
        yield "whether processes of different LNC can share a machine"
    for what, why in node.chip.unverified.items():
        if what != "lnc1" or node.lnc == 1:
            yield why
