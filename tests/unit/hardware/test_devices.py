"""The catalogue of accelerators."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from replicore.hardware.devices import devices, find_device, neuron_device
from replicore.hardware.neuron.catalogue import find_instance

ROWS = Path(__file__).parents[4] / "shared" / "data" / "planner_rows.csv"


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("h100", "h100"),
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("NVIDIA GH200 480GB", "gh200"),
        ("NVIDIA-B200-SXM-180GB", "b200"),
        ("NVIDIA GB200", "gb200"),
        ("NVIDIA A100-SXM4-80GB", "a100"),
        ("NVIDIA A100-SXM4-40GB", "a100-40"),
        ("NVIDIA L40S 48GB", "l40s"),
        ("AMD Instinct MI300X 192GB HBM3", "mi300x"),
        ("AWS trn2.48xlarge", "trn2"),
        ("AWS inf2.48xlarge (12 Inferentia2, 24 NeuronCores)", "inf2"),
    ],
)
def test_find_device_takes_the_names_of_drivers_and_reports(name: str, key: str) -> None:
    found = find_device(name)
    assert found is not None
    assert found.key == key


@pytest.mark.parametrize("name", ["", "NVIDIA RTX 4090 24GB", "2x INTEL XEON (CPU only)"])
def test_find_device_does_not_guess_an_unknown_device(name: str) -> None:
    assert find_device(name) is None


def test_devices_have_rates_that_do_not_fall_with_narrower_numbers() -> None:
    for device in devices().values():
        assert device.flops(16) <= device.flops(8) <= device.flops(4), device.key


def test_devices_of_the_issue_are_in_the_catalogue() -> None:
    wanted = {"trn1", "trn2", "inf2", "a100", "h100", "h200", "b200", "l40s", "mi300x"}
    assert wanted <= set(devices())


def test_a_logical_core_of_trn2_has_a_quarter_of_its_chip() -> None:
    chip = find_instance("trn2.48xlarge").chip
    core = neuron_device(chip, lnc=2)
    assert core.key == "trn2"
    assert core.bytes_per_s == pytest.approx(chip.hbm_bytes_per_s / 4)
    assert core.memory_bytes == 24 * 2**30


def test_physical_cores_have_a_key_of_their_own() -> None:
    chip = find_instance("trn2.48xlarge").chip
    assert neuron_device(chip, lnc=1).key == "trn2-lnc1"


@pytest.mark.skipif(not ROWS.is_file(), reason="the published rows are not on this machine")
def test_find_device_knows_the_hardware_of_nearly_all_published_rows() -> None:
    with ROWS.open(newline="", encoding="utf-8") as file:
        names = [row["hardware"] for row in csv.DictReader(file)]
    known = sum(find_device(name) is not None for name in names)
    assert known / len(names) > 0.9
