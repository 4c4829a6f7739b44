from __future__ import annotations

import pytest

from replicore.hardware.neuron.neuron_ls import Listing, parse_listing
from tests.unit.hardware.neuron.samples import needs_samples, sample
from tests.unit.hardware.neuron.tools import listing


def parsed(text: str) -> Listing:
    found = parse_listing(text)
    assert found is not None
    return found


def cores(found: Listing) -> list[str]:
    return [str(device.cores) for device in found.devices]


@needs_samples
@pytest.mark.parametrize(
    ("name", "devices", "first", "last", "lnc", "instance_type"),
    [
        ("inf2.48xlarge_idle_reconstructed", 12, "0-1", "22-23", None, None),
        ("trn1.2xlarge_idle_captured", 1, "0-1", "0-1", None, None),
        ("trn1.32xlarge_idle_reconstructed", 16, "0-1", "30-31", None, None),
        ("trn2.3xlarge_partial_captured", 1, "0-3", "0-3", 2, "trn2.3xlarge"),
        ("trn2.48xlarge_idle_reconstructed", 16, "0-3", "60-63", 2, None),
        ("trn2.48xlarge_one_device_container_captured", 1, "0-3", "0-3", 2, "trn2.48xlarge"),
        ("trn2.48xlarge_two_tp32_replicas_synthetic", 16, "0-3", "60-63", 2, None),
        ("trn2n.48xlarge_devices_0_and_15_docs", 2, "0-3", "60-63", 2, None),
    ],
)
def test_every_sample_is_read(
    name: str, devices: int, first: str, last: str, lnc: int | None, instance_type: str | None
) -> None:
    found = parsed(sample(f"neuron-ls_{name}.json"))

    assert len(found.devices) == devices
    assert (cores(found)[0], cores(found)[-1]) == (first, last)
    assert (found.lnc, found.instance_type) == (lnc, instance_type)


@needs_samples
def test_a_device_tells_its_memory_its_node_and_its_processes() -> None:
    text = sample("neuron-ls_trn2.48xlarge_two_tp32_replicas_synthetic.json")

    device = parsed(text).devices[4]

    assert device.memory_bytes == 96 * 2**30
    assert device.numa_node == 0
    assert [process.pid for process in device.processes] == [221607]


@pytest.mark.parametrize(
    ("numa_node", "read"), [("1", 1), (0, 0), ("-1", None), (-1, None), ("", None), ("NA", None)]
)
def test_a_device_without_a_numa_node_has_none(numa_node: object, read: int | None) -> None:
    assert parsed(listing({"numa_node": numa_node})).devices[0].numa_node == read


def test_devices_are_put_in_order() -> None:
    text = listing(
        {"neuron_device": 1, "neuroncore_ids": [4, 5, 6, 7]},
        {"neuron_device": 0, "neuroncore_ids": [0, 1, 2, 3]},
    )

    assert cores(parsed(text)) == ["0-3", "4-7"]


def test_physical_core_numbers_are_taken_for_the_logical_cores_they_are_in() -> None:
    physical = [{"neuroncore_ids": list(range(8))}, {"neuroncore_ids": list(range(8, 16))}]

    assert cores(parsed(listing(*physical))) == ["0-3", "4-7"]


def test_without_core_numbers_devices_have_the_next_ones_each() -> None:
    assert cores(parsed(listing({"neuroncore_ids": []}, {"neuroncore_ids": []}))) == ["0-3", "4-7"]


def test_processes_that_are_null_are_none() -> None:
    assert parsed(listing({"neuron_processes": None})).devices[0].processes == ()


def test_a_device_without_cores_is_left_out() -> None:
    found = parsed(listing({"nc_count": 0, "neuroncore_ids": []}, {}))

    assert cores(found) == ["4-7"]


@pytest.mark.parametrize("text", ["", "[]", "usage: neuron-ls [options]", "{}", '[{"a": 1}]'])
def test_what_is_no_list_of_devices_is_not_one(text: str) -> None:
    assert parse_listing(text) is None
