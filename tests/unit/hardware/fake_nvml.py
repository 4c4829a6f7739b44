"""A pretend NVML: as much of ``pynvml`` as replicore uses, for GPUs that are given."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A GPU, or a MIG instance of one."""

    uuid: str = "GPU-0"
    name: str = "NVIDIA H100 80GB HBM3"
    total: int = 80 * GIB
    free: int = 79 * GIB
    processes: tuple[tuple[int, int | None], ...] = ()
    instances: tuple[Gpu | None, ...] | None = None
    lost: bool = False


Handle = tuple[int, Gpu]


class FakeNvml:
    """NVML over these GPUs. A handle is the index of a GPU and the GPU or its instance.

    Args:
        linked: Pairs that NVLink connects.
        near: Pairs on one NUMA node; None for all.
        silent: Names of functions that this driver does not answer.
        driver: Whether there is a driver; None for one where there are GPUs.
    """

    NVML_DEVICE_MIG_ENABLE = 1
    NVML_P2P_CAPS_INDEX_NVLINK = 2
    NVML_P2P_STATUS_OK = 0
    NVML_TOPOLOGY_SYSTEM = 50

    class NVMLError(Exception):
        pass

    def __init__(
        self,
        *gpus: Gpu,
        linked: tuple[tuple[int, int], ...] = (),
        near: tuple[tuple[int, int], ...] | None = None,
        silent: tuple[str, ...] = (),
        driver: bool | None = None,
    ) -> None:
        self.gpus = gpus
        self.sessions = 0
        self._linked = linked
        self._near = near
        self._driver = bool(gpus) if driver is None else driver
        for name in silent:
            setattr(self, name, self._refuse)

    def _refuse(self, *_: object) -> None:
        raise self.NVMLError("Not Supported")

    def nvmlInit(self) -> None:
        if not self._driver:
            raise self.NVMLError("NVML Shared Library Not Found")
        self.sessions += 1

    def nvmlShutdown(self) -> None:
        self.sessions -= 1

    def nvmlDeviceGetCount(self) -> int:
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Handle:
        return index, self.gpus[index]

    def nvmlDeviceGetMigMode(self, handle: Handle) -> tuple[int, int]:
        mode = int(handle[1].instances is not None)
        return mode, mode

    def nvmlDeviceGetMaxMigDeviceCount(self, handle: Handle) -> int:
        return len(handle[1].instances or ())

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: Handle, index: int) -> Handle:
        instance = (handle[1].instances or ())[index]
        if instance is None:
            raise self.NVMLError("Not Found")
        return handle[0], instance

    def nvmlDeviceGetUUID(self, handle: Handle) -> str:
        return handle[1].uuid

    def nvmlDeviceGetName(self, handle: Handle) -> bytes:
        return handle[1].name.encode()

    def nvmlDeviceGetMemoryInfo(self, handle: Handle) -> SimpleNamespace:
        if handle[1].lost:
            raise self.NVMLError("GPU is lost")
        return SimpleNamespace(total=handle[1].total, free=handle[1].free)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: Handle) -> list[SimpleNamespace]:
        running = handle[1].processes
        return [SimpleNamespace(pid=pid, usedGpuMemory=memory) for pid, memory in running]

    def nvmlDeviceGetP2PStatus(self, one: Handle, other: Handle, index: int) -> int:
        linked = index == self.NVML_P2P_CAPS_INDEX_NVLINK and (one[0], other[0]) in self._linked
        return self.NVML_P2P_STATUS_OK if linked else 5

    def nvmlDeviceGetTopologyCommonAncestor(self, one: Handle, other: Handle) -> int:
        near = self._near is None or (one[0], other[0]) in self._near
        return 40 if near else self.NVML_TOPOLOGY_SYSTEM
