"""NVIDIA GPUs, through NVML: devices and MIG instances, their memory, links, and who holds it.

NVML looks without initializing CUDA, which would take memory on every device. A core of the
machine is a whole GPU with NVML's index, which is also ``nvidia-smi``'s. Where a GPU is split by
MIG, devices are numbered anew, instances in the place of their GPU.

Source: NVML API Reference; CUDA C++ Programming Guide, "CUDA environment variables".
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from replicore.cores import CoreRange
from replicore.errors import ConfigError
from replicore.hardware.cuda_devices import (
    Device,
    Survey,
    is_busy,
    islands,
    numbered,
    visible,
)
from replicore.hardware.kernel_files import read_kernel_file
from replicore.hardware.machine import Holder, Machine
from replicore.hardware.nvml import read_devices
from replicore.units import GIB
from replicore.wording import quoted

VISIBLE_VARIABLE = "CUDA_VISIBLE_DEVICES"

# /proc/self/ns/pid of the namespace above all others (PROC_PID_INIT_INO of Linux): NVML names
# processes by their pids there.
_FIRST_PID_NAMESPACE = "pid:[4026531836]"


def pid_namespace() -> str:
    return os.readlink("/proc/self/ns/pid")


class CudaHardware:
    """The CUDA devices of this computer.

    Args:
        memory_fraction: Share of a device's memory that its replicas take together. A device that
            has less of it free is busy.
        sharing: Replicas that each device is for.
        environ: For ``CUDA_VISIBLE_DEVICES``, which is the limit of this process too.
        nvml: The module ``pynvml``; None imports it.
        root: Where ``proc`` is; another folder than ``/`` in tests.
        namespace: Returns the pid namespace of this process, as its link in ``/proc`` reads.
    """

    kind = "cuda"

    def __init__(
        self,
        *,
        memory_fraction: float = 0.9,
        sharing: int = 1,
        environ: Mapping[str, str] = os.environ,
        nvml: Any = None,
        root: Path = Path("/"),
        namespace: Callable[[], str] = pid_namespace,
    ) -> None:
        self._memory_fraction = memory_fraction
        self._sharing = sharing
        self._visible = environ.get(VISIBLE_VARIABLE)
        self._nvml = nvml
        self._root = root
        self._namespace = namespace
        self._identifiers: Mapping[int, str] = {}

    @cached_property
    def is_there(self) -> bool:
        """Whether there is a device for this process."""
        try:
            return bool(visible(numbered(self._survey().devices), self._visible))
        except ConfigError:
            return False

    def detect(self) -> Machine:
        """Return what this process may use.

        Raises:
            ConfigError: No driver, or no device for this process.
        """
        survey = self._survey()
        devices = visible(numbered(survey.devices), self._visible)
        self._check_any(survey, devices)
        self._identifiers = _identifiers(survey, devices)
        split = any(device.instance for device in devices.values())
        cores, busy = CoreRange.of(devices), CoreRange.of(self._busy(devices))
        core_bytes = self._usable_bytes(devices)
        return Machine(
            kind=self.kind,
            name=" and ".join(sorted({device.name for device in devices.values()})),
            cores=cores,
            core_limit=len(cores),
            numa=islands(devices, survey),
            memory_bytes=len(cores) * core_bytes,
            core_memory_bytes=core_bytes,
            # A process uses one instance; a rank is a process, but NCCL does not join instances.
            legal_tp=(1,) if split else None,
            sharing=self._sharing,
            busy=busy,
            holders=tuple(self._holders(devices, busy)),
            note="; ".join(self._notes(survey, devices, core_bytes)),
        )

    def identifiers(self, cores: CoreRange) -> tuple[str, ...]:
        """Return what ``CUDA_VISIBLE_DEVICES`` calls these cores, as of the last detection."""
        return tuple(self._identifiers.get(core, str(core)) for core in cores)

    def _survey(self) -> Survey:
        nvml = self._nvml or importlib.import_module("pynvml")
        try:
            return read_devices(nvml)
        except nvml.NVMLError as error:
            raise ConfigError(
                f"there is no CUDA device here: NVML says {error}",
                hint='engine.vllm.device = "cpu" takes the CPU cores, with a vLLM built for them',
            ) from error

    def _check_any(self, survey: Survey, devices: Mapping[int, Device]) -> None:
        if devices:
            return
        if not survey.devices:
            silent = ", ".join(str(gpu) for gpu in survey.silent)
            found = f"GPU {silent} does not answer it" if silent else "no device"
            raise ConfigError(f"there is a driver for CUDA devices here, but {found}")
        raise ConfigError(
            f"{VISIBLE_VARIABLE}: {quoted(self._visible)} leaves this process none of the "
            f"{len(survey.devices)} devices; unset it, or name some by number or UUID"
        )

    def _usable_bytes(self, devices: Mapping[int, Device]) -> int:
        """Return what replicas may take of one device: a rank has as much as any other."""
        least = min(device.memory_bytes for device in devices.values())
        return int(least * self._memory_fraction)

    def _busy(self, devices: Mapping[int, Device]) -> Iterator[int]:
        for core, device in devices.items():
            # Each rank takes the fraction of its own device, however much it needs.
            if is_busy(device, int(device.memory_bytes * self._memory_fraction)):
                yield core

    def _holders(self, devices: Mapping[int, Device], busy: CoreRange) -> Iterator[Holder]:
        pids_are_ours = self._namespace() == _FIRST_PID_NAMESPACE
        for core, device in devices.items():
            for process in device.processes:
                pid = process.pid if pids_are_ours else None
                yield Holder(
                    cores=CoreRange((core,)),
                    pid=pid,
                    command=self._command(pid),
                    memory_bytes=process.memory_bytes,
                )
            if core in busy and not device.processes:
                # In a container NVML may tell how much is held, and not by whom.
                held = device.memory_bytes - device.free_bytes
                yield Holder(cores=CoreRange((core,)), memory_bytes=held)

    def _command(self, pid: int | None) -> str:
        text = pid and read_kernel_file(self._root / f"proc/{pid}/cmdline")
        return text.replace("\0", " ").strip() if text else ""

    def _notes(
        self, survey: Survey, devices: Mapping[int, Device], core_bytes: int
    ) -> Iterator[str]:
        for gpu in survey.silent:
            yield f"GPU {gpu} does not answer NVML"
        if len(devices) < len(survey.devices):
            yield f"{VISIBLE_VARIABLE} leaves {len(devices)} of {len(survey.devices)} devices"
        sizes = {device.memory_bytes for device in devices.values()}
        if len(sizes) > 1:
            yield f"devices differ, so each is counted as {core_bytes / GIB:.1f} GiB"
        if self._sharing > 1:
            yield f"each device is shared by {self._sharing} replicas"


def _identifiers(survey: Survey, devices: Mapping[int, Device]) -> Mapping[int, str]:
    """Return what CUDA calls the devices: their numbers, unless one of the GPUs is split.

    CUDA then counts one instance of it, so that no number can be relied on. Nor can it where a GPU
    does not answer, as CUDA may not count that one.
    """
    by_uuid = bool(survey.silent) or any(device.instance for device in survey.devices)
    return {core: device.uuid if by_uuid else str(device.gpu) for core, device in devices.items()}
