from __future__ import annotations

import pytest

from replicore.cores import CoreRange
from replicore.errors import ConfigError
from replicore.hardware.cuda_planned import planned_devices
from replicore.hardware.devices import devices, find_device

GIB = 2**30


@pytest.mark.parametrize("text", ["4x80GiB", "4 x 80 GiB", "4x81920MiB"])
def test_devices_are_a_number_and_a_size(text: str) -> None:
    machine = planned_devices(text, memory_fraction=0.5, sharing=2)

    assert machine.cores == CoreRange.parse("0-3")
    assert machine.core_memory_bytes == 40 * GIB
    assert machine.memory_bytes == 160 * GIB
    assert machine.replica_memory_bytes(1) == 20 * GIB
    assert machine.planned_by == f'engine.vllm.devices: "{text}"'


@pytest.mark.parametrize("text", ["80GiB", "0x80GiB", "1025x1GiB", "x80GiB", "8*80GiB", ""])
def test_other_words_are_refused_with_the_form(text: str) -> None:
    with pytest.raises(ConfigError, match=r'engine.vllm.devices: .*such as "8xH100" or "8x80GiB"'):
        planned_devices(text, memory_fraction=0.9, sharing=1)


def test_memory_that_is_no_size_is_refused_with_the_units() -> None:
    with pytest.raises(ConfigError, match=r'engine.vllm.devices: "80 potatoes"'):
        planned_devices("8x80 potatoes", memory_fraction=0.9, sharing=1)


def test_a_device_of_the_catalogue_is_named_instead_of_its_memory() -> None:
    machine = planned_devices("4xH100", memory_fraction=0.5, sharing=1, find=find_device)
    h100 = devices()["h100"]

    assert machine.name == h100.name
    assert h100.memory_bytes is not None
    assert machine.core_memory_bytes == h100.memory_bytes // 2


def test_a_size_is_no_device_of_the_catalogue() -> None:
    machine = planned_devices("4x80GiB", memory_fraction=1.0, sharing=1, find=find_device)

    assert machine.core_memory_bytes == 80 * GIB
