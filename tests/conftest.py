"""What integration tests are held to: they leave no process, port, file or shared memory behind."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from hypothesis import settings

from replicore.deploy.keeper import mapped_segments, processes
from replicore.deploy.strays import find_strays

# The same examples in every run, and no timing: a slow machine is not a failure.
settings.register_profile("deterministic", derandomize=True, deadline=None)
settings.load_profile("deterministic")

# Fixtures of a module start before a test's own tag is set, so they have one of their own.
_MODULE_TAG = "PYTEST_MODULE_LEAK_TAG"
_TEST_TAG = "PYTEST_LEAK_TAG"
_DEADLINE_S = 20.0
_POLL_S = 0.02


@pytest.fixture(autouse=True, scope="module")
def _module_leaves_nothing_behind(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    with _checked(request, tmp_path_factory, _MODULE_TAG):
        yield


@pytest.fixture(autouse=True)
def _test_leaves_nothing_behind(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    with _checked(request, tmp_path_factory, _TEST_TAG):
        yield


@contextmanager
def _checked(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, variable: str
) -> Iterator[None]:
    """Check what the block leaves behind; ``variable`` marks the processes that it starts."""
    if not {"integration", "chaos", "engines"} & set(request.path.parts):
        yield
        return
    tag = {variable: uuid4().hex}
    ports, files = _listening_ports(), _open_files(tmp_path_factory.getbasetemp())
    segments = set(_segments())
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv(variable, tag[variable])
        monkeypatch.setenv("REPLICORE_STATE_DIR", str(tmp_path_factory.mktemp("state")))
        yield
    assert _processes_left(tag) == [], "processes left behind"
    assert _unused_segments() - segments == set(), "shared memory left behind"
    assert _listening_ports() - ports == set(), "ports left open"
    assert _open_files(tmp_path_factory.getbasetemp()) - files == set(), "files left open"


def _processes_left(tag: dict[str, str]) -> list[str]:
    """Return the command lines of what a test started and is still there, which is then killed."""
    deadline = time.monotonic() + _DEADLINE_S
    while (left := find_strays(tag)) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    processes = [psutil.Process(pid) for pid in left if psutil.pid_exists(pid)]
    lines = [" ".join(process.cmdline()) for process in processes]
    for process in processes:
        process.kill()
    return lines


def _segments() -> dict[str, int]:
    """Return the names in ``/dev/shm``, and their inodes."""
    with os.scandir("/dev/shm") as entries:
        return {entry.name: entry.inode() for entry in entries}


def _unused_segments() -> set[str]:
    """Return the names that no process has open: others may use shared memory at the same time."""
    segments = _segments()
    used = {inode for pid in processes() for inode in mapped_segments(pid)} if segments else set()
    return {name for name, inode in segments.items() if inode not in used}


def _listening_ports() -> set[int]:
    connections = psutil.Process().net_connections("tcp")
    return {c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN and c.laddr}


def _open_files(folder: Path) -> set[str]:
    links = (Path("/proc/self/fd") / fd for fd in os.listdir("/proc/self/fd"))
    targets = [os.readlink(link) for link in links if link.is_symlink()]
    return {target for target in targets if target.startswith(str(folder))}
