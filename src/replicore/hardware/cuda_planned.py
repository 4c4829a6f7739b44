"""CUDA devices of another machine, to plan for without having them. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

from replicore.cores import CoreRange
from replicore.errors import ConfigError
from replicore.hardware.device import Device
from replicore.hardware.machine import Machine, NumaNode
from replicore.units import parse_size
from replicore.wording import quoted

# Like MAX_CORE of cores.py, against a slip; no machine has nearly as many.
MOST_DEVICES = 1024

_FORM = re.compile(r"([0-9]{1,4}) ?x ?(.+)")


def _nothing_known(name: str) -> Device | None:
    """Return no device, whatever it is called."""


def planned_devices(
    text: str,
    *,
    memory_fraction: float,
    sharing: int,
    find: Callable[[str], Device | None] = _nothing_known,
) -> Machine:
    """Return a machine of alike devices on one island, as ``8xH100`` or ``8x80GiB`` describes it.

    Args:
        find: Finds a device by its name.

    Raises:
        ConfigError: No number of devices, or no memory.
    """
    match = _FORM.fullmatch(text)
    count = int(match[1]) if match else 0
    if match is None or not 1 <= count <= MOST_DEVICES:
        raise ConfigError(
            f"engine.vllm.devices: {quoted(text)} is not a number of devices and the name or the "
            f'memory of each; write one from 1 to {MOST_DEVICES}, such as "8xH100" or "8x80GiB"'
        )
    device = find(match[2])
    memory = int(_memory_bytes(match[2], device) * memory_fraction)
    cores = CoreRange.of(range(count))
    return Machine(
        kind="cuda",
        name=f"{match[2]} CUDA device" if device is None else device.name,
        cores=cores,
        core_limit=count,
        numa=(NumaNode(index=0, cores=cores),),
        memory_bytes=count * memory,
        core_memory_bytes=memory,
        sharing=sharing,
        note="as engine.vllm.devices says; nothing was looked for",
        planned_by=f"engine.vllm.devices: {quoted(text)}",
    )


def _memory_bytes(text: str, device: Device | None) -> int:
    if device is not None and device.memory_bytes is not None:
        return device.memory_bytes
    try:
        return parse_size(text)
    except ConfigError as error:
        raise ConfigError(f"engine.vllm.devices: {error.message}") from error
