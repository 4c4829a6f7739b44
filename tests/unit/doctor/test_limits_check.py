"""What is said of the limits that a deployment inherits."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

from replicore.doctor.limits import check_limits
from tests.unit.doctor.cases import case, laid_out, only, place, problems


def limited(files: int, processes: int, locked: int) -> Any:
    values = {
        resource.RLIMIT_NOFILE: files,
        resource.RLIMIT_NPROC: processes,
        resource.RLIMIT_MEMLOCK: locked,
    }
    return lambda kind: (values[kind], values[kind])


def test_limits_that_suffice_are_told(tmp_path: Path) -> None:
    findings = list(check_limits(place(tmp_path), case(), limit=limited(65536, -1, 8 * 2**20)))

    # 256 of its own, 2 for each of 1024 that wait and 4 that are served
    assert [finding.message for finding in findings] == [
        "65536 files may be open, 2312 are needed",
        "any number of processes and threads may run",
        "8 MiB of memory may be locked",
    ]
    assert problems(findings) == []


def test_too_few_open_files_for_the_queue_are_a_warning(tmp_path: Path) -> None:
    finding = only(check_limits(place(tmp_path), case(), limit=limited(1024, -1, -1)), "open-files")

    assert finding.level == "warning"
    assert "needs 2312" in finding.message


def test_the_processes_that_a_control_group_leaves_are_counted(tmp_path: Path) -> None:
    group = {"sys/fs/cgroup/pids.max": "600\n", "sys/fs/cgroup/pids.current": "200\n"}
    found = check_limits(place(tmp_path, group), case(), limit=limited(-1, 100_000, -1))

    assert "at most 400 processes and threads" in only(found, "processes").message


def test_weights_that_may_not_be_locked_are_an_error(tmp_path: Path) -> None:
    locking = laid_out("cpu", {"engine.args": ["--use-mlock"]})
    found = check_limits(place(tmp_path), locking, limit=limited(-1, -1, 8 * 2**20))

    assert "--use-mlock locks 16.0 GiB, but only 8 MiB" in only(found, "locked-memory").message
