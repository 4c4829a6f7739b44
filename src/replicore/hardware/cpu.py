"""The CPU: cores that this process may run on, their NUMA nodes, and the memory left."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from replicore.cores import NO_CORES, CoreRange
from replicore.errors import ConfigError
from replicore.hardware.cgroup import CgroupLimits, read_limits
from replicore.hardware.kernel_files import read_kernel_file
from replicore.hardware.machine import Machine, NumaNode


class CpuHardware:
    """The CPUs of this computer.

    Args:
        root: Where ``proc`` and ``sys`` are; another folder than ``/`` in tests.
        affinity: Returns the CPUs that the scheduler lets this process use.
    """

    kind = "cpu"

    def __init__(
        self,
        root: Path = Path("/"),
        affinity: Callable[[], Iterable[int]] = lambda: os.sched_getaffinity(0),
    ) -> None:
        self._root = root
        self._affinity = affinity

    def detect(self) -> Machine:
        """Return what this process may use, within affinity, control groups and free memory.

        Raises:
            ConfigError: No CPU is left, or the kernel does not tell the free memory.
        """
        limits = read_limits(self._root)
        cores = self._cores(limits)
        core_limit = _core_limit(cores, limits)
        return Machine(
            kind=self.kind,
            name=_model_name(self._root),
            cores=cores,
            core_limit=core_limit,
            numa=tuple(_numa_nodes(self._root, cores)),
            memory_bytes=_memory_bytes(self._root, limits),
            note="; ".join(self._notes(cores, core_limit, limits)),
        )

    def _cores(self, limits: CgroupLimits) -> CoreRange:
        affinity = CoreRange.of(self._affinity())
        cores = affinity if limits.cores is None else affinity & limits.cores
        if not cores:
            raise ConfigError(
                f"no CPU is left for this process: its affinity is {affinity}, "
                f"the CPUs of its control group are {limits.cores}",
                hint="`taskset -cp $$` and cpuset.cpus of the control group show and change them",
            )
        return cores

    def _notes(self, cores: CoreRange, core_limit: int, limits: CgroupLimits) -> Iterator[str]:
        online = read_kernel_file(self._root / "sys/devices/system/cpu/online")
        if online and len(cores) < (total := len(CoreRange.parse(online))):
            yield f"affinity or cpuset leaves {len(cores)} of {total} CPUs"
        if core_limit < len(cores):
            quota = f"{limits.cpu_quota:g} cores"
            yield f"the CPU quota of {quota} lets {core_limit} of {len(cores)} be busy at once"


def _core_limit(cores: CoreRange, limits: CgroupLimits) -> int:
    if limits.cpu_quota is None:
        return len(cores)
    # Rounded down: a replica on a core that it may use for a part of the time only is throttled in
    # the middle of a token. Below one core there is nothing to round to.
    return max(1, min(len(cores), int(limits.cpu_quota)))


def _numa_nodes(root: Path, cores: CoreRange) -> Iterator[NumaNode]:
    """Yield the nodes that have usable cores; node 0 takes those that no node lists."""
    folders = (root / "sys/devices/system/node").glob("node[0-9]*")
    listed = {int(folder.name.removeprefix("node")): _cpulist(folder) & cores for folder in folders}
    unlisted = CoreRange.of(set(cores).difference(*listed.values()))
    listed[0] = listed.get(0, NO_CORES) | unlisted
    for index, near in sorted(listed.items()):
        if near:
            yield NumaNode(index=index, cores=near)


def _cpulist(folder: Path) -> CoreRange:
    """Return the CPUs of a node; none where it has only memory, or is offline."""
    text = read_kernel_file(folder / "cpulist")
    return CoreRange.parse(text) if text else NO_CORES


def _memory_bytes(root: Path, limits: CgroupLimits) -> int:
    for key, value in _fields(root / "proc/meminfo"):
        if key == "MemAvailable":
            available = int(value.removesuffix("kB")) * 1024
            return available if limits.memory_bytes is None else min(available, limits.memory_bytes)
    raise ConfigError(
        f"{root / 'proc/meminfo'} has no MemAvailable, so the free memory is not known; "
        "Linux 3.14 and later tell it where /proc is mounted"
    )


def _model_name(root: Path) -> str:
    """Return the processor's own name; Arm kernels do not tell one."""
    names = (value for key, value in _fields(root / "proc/cpuinfo") if key == "model name")
    return next(names, "CPU")


def _fields(path: Path) -> Iterator[tuple[str, str]]:
    for line in (read_kernel_file(path) or "").splitlines():
        key, _, value = line.partition(":")
        yield key.strip(), value.strip()
