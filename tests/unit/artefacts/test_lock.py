from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from replicore.artefacts.lock import Lock, describe_holders, try_lock, wait_for_maker
from replicore.errors import ArtefactError

HOLD = """
import sys
from pathlib import Path
from replicore.artefacts.lock import try_lock
lock = try_lock(Path(sys.argv[1]), exclusive=True)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / ".locks" / "ab"


def held(path: Path, *, exclusive: bool) -> Lock:
    lock = try_lock(path, exclusive=exclusive)
    assert lock is not None
    return lock


def test_many_may_use_an_artefact_at_the_same_time(path: Path) -> None:
    with held(path, exclusive=False), held(path, exclusive=False):
        pass


@pytest.mark.parametrize(("first", "second"), [(True, True), (True, False), (False, True)])
def test_nobody_makes_an_artefact_that_is_used_or_made(
    path: Path, first: bool, second: bool
) -> None:
    with held(path, exclusive=first):
        assert try_lock(path, exclusive=second) is None

    held(path, exclusive=second).close()


def test_lock_whose_file_was_removed_is_not_taken_for_the_one_that_others_see(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """gc removes the file between the open and the lock of somebody else."""
    opened = os.open

    def open_and_lose(name: Path, *options: int) -> int:
        fd = opened(name, *options)
        monkeypatch.undo()
        path.unlink()
        return fd

    monkeypatch.setattr("replicore.artefacts.lock.os.open", open_and_lose)
    with held(path, exclusive=True):
        assert try_lock(path, exclusive=True) is None


def test_lock_ends_with_the_process_that_holds_it_and_until_then_that_is_named(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert try_lock(path, exclusive=False) is None
        assert describe_holders(path).startswith(f"pid {holder.pid} (")
        holder.kill()
        holder.wait()

    held(path, exclusive=True).close()


def test_holder_whom_nobody_can_see_is_told_as_somebody(path: Path) -> None:
    assert describe_holders(path) == "a process of another machine, or of another container"


def test_wait_ends_when_it_is_made_and_tells_once_who_makes_it(path: Path) -> None:
    told: list[str] = []
    first = held(path, exclusive=True)

    def let_go(holders: str) -> None:
        told.append(holders)
        first.close()

    assert asyncio.run(wait_for_maker(path, waiting=let_go))
    assert told == [describe_holders_of_this_process()]


def test_nobody_waits_for_those_who_use_an_artefact(path: Path) -> None:
    told: list[str] = []
    with held(path, exclusive=False):
        assert not asyncio.run(wait_for_maker(path, waiting=told.append))

    assert told == []


def describe_holders_of_this_process() -> str:
    command = " ".join(Path("/proc/self/cmdline").read_text().split("\0")).strip()
    shown = command if len(command) <= 60 else f"{command[:57]}..."
    return f"pid {os.getpid()} ({shown})"


def test_wait_can_be_cancelled(path: Path) -> None:
    async def wait() -> None:
        waiting = asyncio.Event()
        task = asyncio.create_task(wait_for_maker(path, waiting=lambda holders: waiting.set()))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with held(path, exclusive=True):
        asyncio.run(wait())


def test_use_is_noted_in_the_time_of_the_lock_s_file(path: Path) -> None:
    held(path, exclusive=False).close()
    os.utime(path, (0, 0))
    with held(path, exclusive=False) as lock:
        assert path.stat().st_mtime == 0
        lock.touch()

    assert path.stat().st_mtime > 0


def test_folder_that_cannot_be_written_is_refused_for_making(tmp_path: Path) -> None:
    (tmp_path / ".locks").touch()

    with pytest.raises(ArtefactError, match="the artefacts' folder"):
        try_lock(tmp_path / ".locks" / "ab", exclusive=True)


def test_folder_that_may_only_be_read_can_be_used(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: Path, flags: int, mode: int = 0) -> int:
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr("replicore.artefacts.lock.os.open", refuse)

    held(path, exclusive=False).close()
    with pytest.raises(ArtefactError, match="Read-only file system"):
        try_lock(path, exclusive=True)


def test_use_on_a_disk_that_may_only_be_read_is_not_noted(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(fd: int) -> None:
        raise OSError(30, "Read-only file system")

    with held(path, exclusive=False) as lock:
        before = path.stat().st_mtime_ns
        monkeypatch.setattr("replicore.artefacts.lock.os.utime", refuse)
        lock.touch()

    assert path.stat().st_mtime_ns == before
