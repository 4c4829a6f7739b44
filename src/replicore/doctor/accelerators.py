"""Devices, their drivers, and who holds their cores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from replicore.deploy.programs import DEPLOYMENT_VARIABLE
from replicore.doctor.case import Case, Place
from replicore.doctor.reports import error, error_of, ok, readable, variable_of, warning
from replicore.errors import ConfigError
from replicore.findings import Finding
from replicore.hardware.cuda import CudaHardware
from replicore.hardware.kernel_files import read_kernel_file
from replicore.hardware.machine import Holder, Machine
from replicore.hardware.neuron.catalogue import instances
from replicore.hardware.neuron.detect import NeuronHardware
from replicore.hardware.neuron.fallback import device_files, product_name
from replicore.hardware.neuron.programs import Run, run_program
from replicore.wording import pluralize

NVIDIA_DRIVER = "proc/driver/nvidia/version"
_NVIDIA, _DISPLAY = "0x10de", "0x03"  # PCI vendor, and class of a GPU


def check_accelerators(
    place: Place, case: Case, *, run: Run = run_program, nvml: Any = None
) -> Iterator[Finding]:
    """Tell what devices are here, and what keeps them from being used.

    Args:
        run: Runs AWS's tools.
        nvml: The module ``pynvml``; None imports it where there is a driver.
    """
    found = [*_neuron(place, case, run), *_nvidia(place, nvml)]
    yield from found or [ok("devices", "no Neuron device and no NVIDIA GPU: engines use the CPU")]


def _neuron(place: Place, case: Case, run: Run) -> Iterator[Finding]:
    if not device_files(place.root):
        yield from _neuron_without_driver(place)
        return
    neuron = case.spec.engine.neuron
    try:
        machine = NeuronHardware(lnc=neuron.lnc, root=place.root, run=run).detect()
    except ConfigError as refused:
        yield error_of("neuron", refused)
        return
    yield ok("neuron", f"{_described(machine)}{_driver(place.root / 'sys/module/neuron/version')}")
    yield from _holders(machine, place)


def _neuron_without_driver(place: Place) -> Iterator[Finding]:
    product = product_name(place.root)
    if product in instances():
        yield error(
            "neuron",
            f"this is a {product}, but there is no /dev/neuron*: the driver is not loaded, or the "
            "container was not given the devices",
            "install aws-neuronx-dkms and `sudo modprobe neuron`; in a container `--device "
            "/dev/neuron0` and so on",
        )


def _nvidia(place: Place, nvml: Any) -> Iterator[Finding]:
    version = place.root / NVIDIA_DRIVER
    if not version.exists():
        yield from _nvidia_without_driver(place)
        return
    try:
        machine = CudaHardware(root=place.root, environ=place.environ, nvml=nvml).detect()
    except ConfigError as refused:
        yield error_of("cuda", refused)
        return
    yield ok("cuda", f"{_described(machine)}{_driver(version)}")
    yield from _holders(machine, place)


def _nvidia_without_driver(place: Place) -> Iterator[Finding]:
    folders = (place.root / "sys/bus/pci/devices").glob("*")
    count = sum(_is_gpu(folder) for folder in folders)
    if count:
        yield warning(
            "cuda",
            f"{pluralize(count, 'NVIDIA GPU')} on the PCI bus, but no driver is loaded",
            "install NVIDIA's driver; in a container use the NVIDIA runtime (`--gpus all`)",
        )


def _is_gpu(folder: Path) -> bool:
    vendor, kind = read_kernel_file(folder / "vendor"), read_kernel_file(folder / "class")
    return vendor == _NVIDIA and (kind or "").startswith(_DISPLAY)


def _described(machine: Machine) -> str:
    memory = machine.core_memory_bytes
    each = f" with {readable(memory)} each" if memory is not None else ""
    note = f"; {machine.note}" if machine.note else ""
    cores = pluralize(len(machine.cores), "core")
    return f"{machine.name}: {cores} ({machine.cores}){each}{note}"


def _driver(path: Path) -> str:
    """Return the driver's version: the first word of its file that begins with a digit."""
    words = (read_kernel_file(path) or "").split()
    version = next((word for word in words if word[:1].isdigit()), None)
    return f"; driver {version}" if version is not None else ""


def _holders(machine: Machine, place: Place) -> Iterator[Finding]:
    for holder in machine.holders:
        cores = f"cores {holder.cores} of {machine.name}"
        if _is_ours(holder, place.root):
            yield ok("cores-busy", f"{cores} are held by a deployment ({_name(holder)})")
        elif holder.cores & machine.busy:
            yield warning(
                "cores-busy",
                f"{cores} are held by {_name(holder)}, which no deployment started",
                f"end it (`kill {holder.pid}`)" if holder.pid else "end it where it can be seen",
            )


def _name(holder: Holder) -> str:
    memory = f", {readable(holder.memory_bytes)}" if holder.memory_bytes else ""
    if holder.pid is None:
        return f"{holder.command or 'a process outside of this container'}{memory}"
    return f"{holder.command or 'a process'} (pid {holder.pid}{memory})"


def _is_ours(holder: Holder, root: Path) -> bool:
    pid = holder.pid
    return pid is not None and variable_of(root, pid, DEPLOYMENT_VARIABLE) is not None
