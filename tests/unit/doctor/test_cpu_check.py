"""What is said of the processor."""

from __future__ import annotations

from pathlib import Path

import pytest

from replicore.doctor.cpu import check_cpu, check_memory_left
from tests.unit.doctor.cases import case, only, place, problems

CPU = "sys/devices/system/cpu/cpu0/cpufreq"
CLOCK = "sys/devices/system/clocksource/clocksource0/current_clocksource"


def test_a_quiet_processor_is_told(tmp_path: Path) -> None:
    finding = only(check_cpu(place(tmp_path), case()), "cpu")

    assert finding.level == "ok"
    assert finding.message.startswith("AMD EPYC 9R14: ")


@pytest.mark.parametrize(
    ("files", "check", "expected"),
    [
        ({"proc/loadavg": "900 1 1 1/1 1"}, "load", "other processes keep 900.0"),
        ({f"{CPU}/scaling_governor": "powersave"}, "clock-speed", "lowest clock"),
        ({CLOCK: "hpet"}, "clock-source", "the time by hpet"),
    ],
)
def test_what_spoils_measurements_is_a_warning(
    tmp_path: Path, files: dict[str, str], check: str, expected: str
) -> None:
    (finding,) = problems(check_cpu(place(tmp_path, files), case()))

    assert (finding.level, finding.check) == ("warning", check)
    assert expected in finding.message


def test_a_governor_that_raises_the_clock_itself_is_no_problem(tmp_path: Path) -> None:
    files = {f"{CPU}/scaling_governor": "powersave", f"{CPU}/scaling_driver": "intel_pstate"}

    assert problems(check_cpu(place(tmp_path, files), case())) == []


def test_memory_that_counts_when_reserved_is_a_warning(tmp_path: Path) -> None:
    files = {"proc/sys/vm/overcommit_memory": "2\n"}
    findings = list(check_memory_left(place(tmp_path, files), case()))

    assert findings[0].message == "64.0 GiB of memory are available"
    assert "overcommit_memory is 2" in findings[1].message
