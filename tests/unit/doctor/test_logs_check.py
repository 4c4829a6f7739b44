from __future__ import annotations

import os
from pathlib import Path

import msgspec

from replicore.deploy.state import DeploymentRecord, ProcessIdentity, UnitRecord
from replicore.doctor.case import Place
from replicore.doctor.logs import check_logs
from replicore.findings import Finding
from tests.unit.doctor.cases import case, place

NOW = 1_800_000_000.0
HOUR = 3600.0

FULL = "OSError: [Errno 28] No space left on device\n"
MEMORY = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.\n"


def record(here: Place, name: str, *units: str) -> Path:
    """Write the state of an ended deployment; return the folder of its logs."""
    state = DeploymentRecord(
        id="7f",
        name=name,
        boot_id="b",
        supervisor=ProcessIdentity(pid=1, start_ticks=1),
        machine="cpu",
        units=tuple(UnitRecord(name=unit) for unit in units),
    )
    logs = here.state / name / "logs"
    logs.mkdir(parents=True)
    (logs.parent / "state.json").write_bytes(msgspec.json.encode(state))
    return logs


def log(path: Path, text: str, *, age_s: float = 0.0) -> None:
    path.write_text(text)
    os.utime(path, (NOW - age_s, NOW - age_s))


def findings(here: Place) -> list[Finding]:
    keys = {"engine.neuron.artefacts": str(here.cache)}
    return list(check_logs(here, case(keys), clock=lambda: NOW))


def test_without_logs_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert findings(place(tmp_path)) == []


def test_a_known_error_is_told_with_cause_and_cure(tmp_path: Path) -> None:
    here = place(tmp_path)
    log(record(here, "default", "r0") / "r0.1.log", f"loading\n{FULL}", age_s=2 * HOUR)
    (finding,) = findings(here)

    assert (finding.level, finding.check) == ("warning", "log: disk")
    assert finding.message == (
        'r0 of default, 2 h ago: "OSError: [Errno 28] No space left on device": '
        "a file system is full"
    )
    assert finding.fix == "`df -h` shows which; free some space and start again"


def test_an_error_of_several_replicas_is_told_once(tmp_path: Path) -> None:
    here = place(tmp_path)
    logs = record(here, "default", "r0", "r1", "r2")
    for index in range(3):
        log(logs / f"r{index}.1.log", MEMORY, age_s=60.0 * (3 - index))
    (finding,) = findings(here)

    assert finding.message.startswith("r2 of default and 2 more, 1 min ago: ")


def test_only_the_last_starts_count(tmp_path: Path) -> None:
    here = place(tmp_path)
    logs = record(here, "default", "r0")
    log(logs / "r0.1.log", FULL)
    log(logs / "r0.2.log", "well\n")
    log(logs / "r0.3.log", "well\n")
    (finding,) = findings(here)

    assert (finding.level, finding.message) == (
        "ok",
        "no known error in the logs of the last week (2 files)",
    )


def test_old_logs_are_left_alone(tmp_path: Path) -> None:
    here = place(tmp_path)
    log(record(here, "default", "r0") / "r0.1.log", FULL, age_s=8 * 24 * HOUR)

    assert findings(here) == []


def test_a_short_log_is_read_with_its_rotated_part(tmp_path: Path) -> None:
    here = place(tmp_path)
    logs = record(here, "default", "r0")
    log(logs / "r0.1.log.1", FULL)
    log(logs / "r0.1.log", "bye\n")

    assert [finding.check for finding in findings(here)] == ["log: disk"]


def test_of_a_long_log_the_end_is_read(tmp_path: Path) -> None:
    here = place(tmp_path)
    filler = "INFO all is well\n" * 10_000
    log(record(here, "default", "r0") / "r0.1.log", f"{MEMORY}{filler}{FULL}")

    assert [finding.check for finding in findings(here)] == ["log: disk"]


def test_with_a_spec_only_its_own_logs_are_read(tmp_path: Path) -> None:
    here = place(tmp_path)
    log(record(here, "other", "r0") / "r0.1.log", FULL)

    assert findings(here) == []


def test_without_a_spec_the_logs_of_all_are_read(tmp_path: Path) -> None:
    here = place(tmp_path)
    log(record(here, "other", "r0") / "r0.1.log", FULL)
    found = list(check_logs(here, case(), clock=lambda: NOW))

    assert [finding.check for finding in found] == ["log: disk"]


def test_logs_of_compiles_are_read_too(tmp_path: Path) -> None:
    here = place(tmp_path)
    (here.cache / "logs").mkdir(parents=True)
    log(here.cache / "logs/0a1b.1.log", "Killed\n")
    (finding,) = findings(here)

    assert finding.message.startswith('the compile of 0a1b, 1 min ago: "Killed"')
