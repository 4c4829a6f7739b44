"""Ask NVML, the library of NVIDIA's driver, what devices there are.

Every question may be one that this device, driver or container does not answer. A GPU without
memory, name and UUID is not to be used; it may have fallen off its bus.

Source: NVML API Reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import combinations
from typing import Any

from replicore.hardware.cuda_devices import Device, Process, Survey


def read_devices(nvml: Any) -> Survey:
    """Return all devices, whoever may use them.

    Args:
        nvml: The module ``pynvml`` of nvidia-ml-py.

    Raises:
        nvml.NVMLError: There is no driver, or it does not answer.
    """
    with _session(nvml):
        gpus = range(nvml.nvmlDeviceGetCount())
        devices = {gpu: _answer(nvml, None, _devices, nvml, gpu) for gpu in gpus}
        answering = [gpu for gpu, found in devices.items() if found is not None]
        handles = {gpu: nvml.nvmlDeviceGetHandleByIndex(gpu) for gpu in answering}
        return Survey(
            devices=tuple(device for gpu in answering for device in devices[gpu]),
            silent=tuple(gpu for gpu in gpus if gpu not in handles),
            linked=_pairs(handles, partial(_is_linked, nvml)),
            near=_pairs(handles, partial(_is_near, nvml)),
        )


def _pairs(
    handles: Mapping[int, Any], belong: Callable[[Any, Any], bool]
) -> frozenset[tuple[int, int]]:
    pairs = combinations(handles, 2)
    return frozenset((one, two) for one, two in pairs if belong(handles[one], handles[two]))


@contextmanager
def _session(nvml: Any) -> Iterator[None]:
    nvml.nvmlInit()
    try:
        yield
    finally:
        nvml.nvmlShutdown()


def _devices(nvml: Any, gpu: int) -> list[Device]:
    """Return the GPU, or its instances where it is split: a split GPU is not to be used whole."""
    handle = nvml.nvmlDeviceGetHandleByIndex(gpu)
    mode, _ = _answer(nvml, (0, 0), nvml.nvmlDeviceGetMigMode, handle)
    if mode != nvml.NVML_DEVICE_MIG_ENABLE:
        return [_device(nvml, gpu, handle)]
    instances = (
        _answer(nvml, None, nvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, index)
        for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle))
    )
    return [_device(nvml, gpu, each, instance=True) for each in instances if each is not None]


def _device(nvml: Any, gpu: int, handle: Any, *, instance: bool = False) -> Device:
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    return Device(
        gpu=gpu,
        uuid=_text(nvml.nvmlDeviceGetUUID(handle)),
        name=_text(nvml.nvmlDeviceGetName(handle)),
        memory_bytes=memory.total,
        free_bytes=memory.free,
        instance=instance,
        processes=tuple(
            # None where the driver does not tell how much
            Process(pid=process.pid, memory_bytes=process.usedGpuMemory or 0)
            for process in _answer(nvml, (), nvml.nvmlDeviceGetComputeRunningProcesses, handle)
        ),
    )


def _is_linked(nvml: Any, one: Any, other: Any) -> bool:
    index = nvml.NVML_P2P_CAPS_INDEX_NVLINK
    status = _answer(nvml, None, nvml.nvmlDeviceGetP2PStatus, one, other, index)
    return bool(status == nvml.NVML_P2P_STATUS_OK)


def _is_near(nvml: Any, one: Any, other: Any) -> bool:
    far = nvml.NVML_TOPOLOGY_SYSTEM
    level = _answer(nvml, far, nvml.nvmlDeviceGetTopologyCommonAncestor, one, other)
    return bool(level < far)


def _answer(nvml: Any, otherwise: Any, question: Callable[..., Any], *about: Any) -> Any:
    """Return the answer to a question, or ``otherwise`` where NVML has none here."""
    try:
        return question(*about)
    except nvml.NVMLError:
        return otherwise


def _text(value: str | bytes) -> str:
    """Older bindings return bytes."""
    return value.decode() if isinstance(value, bytes) else value
