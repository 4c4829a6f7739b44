from __future__ import annotations

from pathlib import Path

import pytest

from replicore.hardware.neuron.catalogue import find_instance
from replicore.hardware.neuron.fallback import device_files, driver_chip, list_devices
from tests.unit.hardware.neuron.tools import computer

TRAINIUM2 = find_instance("trn2.48xlarge").chip


def test_device_files_are_in_order_of_their_numbers_and_nothing_else_is_one(
    tmp_path: Path,
) -> None:
    root = computer(tmp_path, devices=11)
    (root / "dev/neuron_bench").touch()

    assert device_files(root) == tuple(f"neuron{n}" for n in range(11))


@pytest.mark.parametrize(
    ("file", "text", "chip"),
    [
        ("neuron0/info/architecture/device_name", "Trainium2\n", "Trainium2"),
        ("neuron0/info/architecture/instance_type", "Trn1\n", "Trainium1"),
        ("neuron0/neuron_core0/info/architecture/instance_type", "Inf2\n", "Inferentia2"),
        ("neuron0/info/architecture/instance_type", "Inf1\n", None),
        ("neuron0/core_count", "8\n", None),
    ],
)
def test_the_chip_is_what_the_driver_calls_it(
    tmp_path: Path, file: str, text: str, chip: str | None
) -> None:
    found = driver_chip(computer(tmp_path, driver={file: text}))

    assert (found.name if found else None) == chip


def test_a_container_counts_the_cores_of_its_devices_from_0(tmp_path: Path) -> None:
    root = computer(tmp_path)
    (root / "dev").mkdir()
    for name in ("neuron12", "neuron13"):
        (root / "dev" / name).touch()

    devices = list_devices(root, TRAINIUM2, 2)

    assert [(device.index, str(device.cores)) for device in devices] == [(0, "0-3"), (1, "4-7")]


def test_a_device_is_used_by_the_processes_that_have_its_file_open(tmp_path: Path) -> None:
    root = computer(
        tmp_path,
        devices=2,
        commands={31: "python -m vllm", 32: "/opt/aws/neuron/bin/neuron-monitor -c x", 33: "cat"},
        opened={
            31: ["/dev/neuron1", "/dev/null", "socket:[1]"],
            32: ["/dev/neuron0", "/dev/neuron1"],
            33: ["/dev/neuron", "/tmp/neuron0"],
        },
    )

    devices = list_devices(root, TRAINIUM2, 2)

    assert devices[0].processes == ()
    assert [(p.pid, p.command) for p in devices[1].processes] == [(31, "python -m vllm")]


def test_a_process_whose_files_cannot_be_seen_is_passed_over(tmp_path: Path) -> None:
    root = computer(tmp_path, devices=1, commands={31: "python"})

    assert list_devices(root, TRAINIUM2, 2)[0].processes == ()
