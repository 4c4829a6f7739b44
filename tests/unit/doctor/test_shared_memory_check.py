"""What is said of /dev/shm."""

from __future__ import annotations

from pathlib import Path

import pytest

from replicore.doctor.shared_memory import check_shared_memory
from replicore.findings import Finding
from tests.unit.doctor.cases import GIB, case, laid_out, only, place, problems, space, write


def test_a_containers_shared_memory_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space(monkeypatch, size=64 * 2**20, free=64 * 2**20)
    finding = only(check_shared_memory(place(tmp_path), case()), "shared-memory")

    assert finding.level == "warning"
    assert "--ipc=host" in finding.fix


@pytest.mark.parametrize(("tp", "level"), [(4, "error"), (1, "ok")])
def test_ranks_without_shared_memory_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tp: int, level: str
) -> None:
    space(monkeypatch, size=GIB, free=GIB // 2)
    vllm = laid_out("cuda", {"engine.kind": "vllm"}, tp=tp)

    assert only(check_shared_memory(place(tmp_path), vllm), "shared-memory").level == level


def segments(tmp_path: Path, *, used: bool, age_s: float) -> list[Finding]:
    """Return what is said of a segment of 2 MiB."""
    here = place(tmp_path)
    segment = here.root / "dev/shm/psm_1a2b"
    segment.write_bytes(bytes(2 * 2**20))
    if used:
        write(here.root, {"proc/31/maps": "7f00-7f10 rw-s 00000000 00:19 7  /dev/shm/psm_1a2b\n"})
    now = segment.stat().st_mtime + age_s
    return problems(check_shared_memory(here, case(), clock=lambda: now))


def test_segments_of_killed_processes_are_a_warning(tmp_path: Path) -> None:
    (finding,) = segments(tmp_path, used=False, age_s=600)

    assert finding.message.startswith("2 MiB of /dev/shm are taken by 1 segment that no process")
    assert finding.fix == "`cd /dev/shm && rm psm_1a2b`"


@pytest.mark.parametrize(("used", "age_s"), [(True, 600), (False, 10)])
def test_segments_in_use_or_just_made_are_no_problem(
    tmp_path: Path, used: bool, age_s: float
) -> None:
    assert segments(tmp_path, used=used, age_s=age_s) == []


def test_a_computer_without_shared_memory_is_a_warning(tmp_path: Path) -> None:
    here = place(tmp_path)
    (here.root / "dev/shm").rmdir()

    assert only(check_shared_memory(here, case()), "shared-memory").level == "warning"
