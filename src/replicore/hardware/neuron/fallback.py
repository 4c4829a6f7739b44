"""What Linux knows of Neuron devices, for where AWS's tools are not installed.

The driver makes ``/dev/neuron<n>``; of those a container has only the ones it is given, while in
``/sys`` it sees all. A container's devices are counted from 0 by the runtime, in this order.

Source: SDK tools/neuron-sys-tools/neuron-sysfs-user-guide.rst; for the instance type, the EC2 user
guide on identifying instances.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from replicore.cores import CoreRange
from replicore.hardware.kernel_files import read_kernel_file
from replicore.hardware.neuron.catalogue import chips
from replicore.hardware.neuron.instance import Chip
from replicore.hardware.neuron.node import Device, Process

# They open every device, and take no core.
_WATCHERS = frozenset({"neuron-ls", "neuron-monitor", "neuron-top"})


def device_files(root: Path) -> tuple[str, ...]:
    """Return the names of the device files, such as ``neuron0``, in order of their numbers."""
    names = [path.name for path in (root / "dev").glob("neuron*")]
    return tuple(sorted(filter(_is_device, names), key=_number))


def product_name(root: Path) -> str | None:
    """Return what the firmware calls this machine: on EC2, the instance type."""
    return read_kernel_file(root / "sys/devices/virtual/dmi/id/product_name") or None


def driver_chip(root: Path) -> Chip | None:
    """Return the chip that the driver tells; None where it does not, or tells another one."""
    folder = root / "sys/devices/virtual/neuron_device"
    # The driver has moved the file from the core to the device.
    for pattern in ("neuron*/info", "neuron*/neuron_core*/info"):
        for place in folder.glob(f"{pattern}/architecture"):
            told = {read_kernel_file(place / name) for name in ("device_name", "instance_type")}
            words = {word.casefold() for word in told if word}
            return next((c for c in chips() if {c.name.casefold(), c.platform} & words), None)
    return None


def list_devices(root: Path, chip: Chip, lnc: int) -> tuple[Device, ...]:
    """Return the devices that have a file, with the processes that have it open."""
    count = chip.cores(lnc)
    openers = _openers(root)
    return tuple(
        Device(
            index=index,
            cores=CoreRange.of(range(index * count, (index + 1) * count)),
            memory_bytes=chip.hbm_bytes,
            processes=tuple(openers.get(name, ())),
        )
        for index, name in enumerate(device_files(root))
    )


def command_of(pid: int, root: Path) -> str:
    """Return the command line of a process; empty where it is not seen from here."""
    try:
        words = (root / "proc" / str(pid) / "cmdline").read_bytes()
    except OSError:
        return ""
    # The words are what the process was given, in any encoding.
    return words.replace(b"\0", b" ").decode(errors="replace").strip()


def _openers(root: Path) -> dict[str, list[Process]]:
    """Return the processes that have each device file open, by its name."""
    found: dict[str, list[Process]] = {}
    for folder in (root / "proc").glob("[0-9]*"):
        command = command_of(int(folder.name), root)
        if Path(command.partition(" ")[0]).name in _WATCHERS:
            continue
        for name in sorted(set(_opened(folder))):
            found.setdefault(name, []).append(Process(pid=int(folder.name), command=command))
    return found


def _opened(folder: Path) -> Iterator[str]:
    try:
        targets = [os.readlink(link) for link in (folder / "fd").iterdir()]
    except OSError:
        return  # another user's process, or one that has just ended
    for target in targets:
        if target.startswith("/dev/") and _is_device(target.removeprefix("/dev/")):
            yield target.removeprefix("/dev/")


def _is_device(name: str) -> bool:
    return re.fullmatch("neuron[0-9]+", name) is not None


def _number(name: str) -> int:
    return int(name.removeprefix("neuron"))
