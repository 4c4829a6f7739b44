"""Who holds which cores: the devices that processes have opened, and what they have there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from replicore.cores import NO_CORES, CoreRange
from replicore.hardware.machine import Holder
from replicore.hardware.neuron.fallback import command_of
from replicore.hardware.neuron.monitor import Usage
from replicore.hardware.neuron.node import Device, Process


def find_holders(
    devices: Iterable[Device], usage: Mapping[int, Usage], root: Path
) -> tuple[Holder, ...]:
    """Return the processes that use the devices, in order of their first cores.

    Of a device that a process has opened it holds the cores where it has memory. One that has none
    there may be about to take some, so all of the device's cores count as its own.
    """
    cores: dict[Process, CoreRange] = {}
    for device in devices:
        for process in device.processes:
            used = usage[process.pid].cores if process.pid in usage else NO_CORES
            held = used & device.cores or device.cores
            cores[process] = cores.get(process, NO_CORES) | held
    holders = (_holder(process, held, usage, root) for process, held in cores.items())
    return tuple(sorted(holders, key=lambda holder: holder.cores.cores))


def _holder(process: Process, cores: CoreRange, usage: Mapping[int, Usage], root: Path) -> Holder:
    memory_bytes = usage[process.pid].memory_bytes if process.pid in usage else 0
    if not process.command:
        # The number is the one that the driver knows, and may be anybody's in this namespace.
        command = f"process {process.pid} of another pid namespace"
        return Holder(cores=cores, command=command, memory_bytes=memory_bytes)
    return Holder(
        cores=cores,
        pid=process.pid,
        command=_whole_command(process, root),
        memory_bytes=memory_bytes,
    )


def _whole_command(process: Process, root: Path) -> str:
    """Return the command line, of which neuron-ls shows only the beginning."""
    whole = command_of(process.pid, root)
    return whole if whole.startswith(process.command.removesuffix("...")) else process.command
