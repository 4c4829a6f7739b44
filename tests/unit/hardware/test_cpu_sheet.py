"""What the cores of a CPU have, by how many of them are busy; and its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from replicore.cores import CoreRange
from replicore.errors import ConfigError
from replicore.hardware.cpu_sheet import CpuSheet, guessed_sheet, sheet_key
from replicore.hardware.cpu_sheet_file import read_sheet, sheet_path, write_sheet
from replicore.hardware.machine import Machine, NumaNode

SHEET = CpuSheet(
    key="cpu-fast",
    name="Fast CPU",
    cores=4,
    busy=(1, 2, 4),
    bytes_per_s=(20e9, 36e9, 40e9),
    flops=(100e9, 200e9, 400e9),
    link_bytes_per_s=5e9,
    link_latency_s=10e-6,
    measured_on="2026-11-23",
    source="measured",
)


def machine(name: str = "Fast CPU", cores: int = 4) -> Machine:
    usable = CoreRange.of(range(cores))
    return Machine(
        kind="cpu",
        name=name,
        cores=usable,
        core_limit=cores,
        numa=(NumaNode(index=0, cores=usable),),
        memory_bytes=2**33,
    )


@pytest.mark.parametrize(
    ("busy", "bytes_per_s"),
    [
        pytest.param(1, 20e9, id="one core has what one core was measured with"),
        pytest.param(2, 18e9, id="two share 36 GB/s"),
        pytest.param(3, 38e9 / 3, id="three share what lies halfway between 36 and 40 GB/s"),
        pytest.param(4, 10e9, id="four share 40 GB/s"),
        pytest.param(8, 5e9, id="more than there are share what all have"),
    ],
)
def test_cores_share_the_bandwidth_with_those_that_are_busy(busy: int, bytes_per_s: float) -> None:
    assert SHEET.device(busy).bytes_per_s == pytest.approx(bytes_per_s)


def test_device_is_filed_under_one_key_however_many_cores_are_busy() -> None:
    one, four = SHEET.device(1), SHEET.device(4)

    assert (one.key, four.key) == ("cpu-fast", "cpu-fast")
    assert (one.kind, one.cores, one.memory_bytes) == ("cpu", 4, None)
    assert (one.flops_16, four.flops_4) == (100e9, 100e9)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("AMD EPYC 9354 32-Core Processor", "cpu-amd-epyc-9354"),
        ("Intel(R) Xeon(R) Platinum 8488C", "cpu-intel-xeon-platinum-8488c"),
        ("Intel(R) Xeon(R) CPU @ 2.20GHz", "cpu-intel-xeon"),
        ("CPU", "cpu"),
        ("", "cpu"),
    ],
)
def test_key_is_the_name_without_what_tells_no_processor_apart(name: str, key: str) -> None:
    assert sheet_key(name) == key


def test_guess_says_that_it_is_one_and_saturates() -> None:
    sheet = guessed_sheet(machine(cores=64))

    assert "guessed" in sheet.source
    assert sheet.measured_on == ""
    assert sheet.device(64).bytes_per_s == pytest.approx(sheet.device(1).bytes_per_s / 8)


def test_guess_of_a_single_core_has_all_that_it_needs() -> None:
    sheet = guessed_sheet(machine(cores=1))

    assert sheet.busy == (1,)
    assert sheet.device(1).bytes_per_s > 0


def test_sheet_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    path = write_sheet(tmp_path, SHEET)

    assert path == tmp_path / "devices" / "cpu-fast.toml"
    assert read_sheet(tmp_path, machine()) == SHEET


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(machine(name="Slow CPU"), id="another processor"),
        pytest.param(machine(name="(R) Fast CPU"), id="another of the same key"),
        pytest.param(machine(cores=2), id="fewer cores"),
    ],
)
def test_sheet_of_other_hardware_does_not_count(tmp_path: Path, other: Machine) -> None:
    write_sheet(tmp_path, SHEET)

    assert read_sheet(tmp_path, other) is None


# SAD PATH


@pytest.mark.parametrize("text", ["busy = [", "key = 1", "busy = (2, 4)"])
def test_file_that_is_none_of_ours_is_refused_by_name(tmp_path: Path, text: str) -> None:
    write_sheet(tmp_path, SHEET).write_text(text)

    with pytest.raises(ConfigError, match="is not what `replicore tune` writes") as caught:
        read_sheet(tmp_path, machine())
    assert str(sheet_path(tmp_path, "cpu-fast")) in caught.value.message


@pytest.mark.parametrize("busy", ["[2, 3, 4]", "[1, 2]", "[]"])
def test_rates_that_do_not_fit_the_busy_cores_are_refused(tmp_path: Path, busy: str) -> None:
    path = write_sheet(tmp_path, SHEET)
    path.write_text(path.read_text().replace("busy = [1, 2, 4]", f"busy = {busy}"))

    with pytest.raises(ConfigError, match="must be of one length, busy starting with 1"):
        read_sheet(tmp_path, machine())


def test_folder_that_cannot_be_written_is_an_error_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "devices").write_text("a file")

    with pytest.raises(ConfigError, match="cannot be written"):
        write_sheet(tmp_path, SHEET)
