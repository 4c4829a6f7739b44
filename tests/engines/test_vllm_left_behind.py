"""What is left of two vLLM replicas after SIGKILL: no process, no port, no shared memory."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from replicore.deploy.keeper import mapped_segments
from tests.engines.serving import complete, vllm_up
from tests.integration.deployment import TIMEOUT_S, Up, family

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(1500)]

# A supervisor, a gateway under its keeper, and for each replica a keeper, a server, its engine
# core, its worker and Python's resource tracker.
PROCESSES = 1 + 2 + 2 * 5


def test_nothing_is_left_after_a_kill_of_everything(
    python: Path, model: Path, tmp_path: Path
) -> None:
    with vllm_up(python, model, replicas=2, tp=1, state=tmp_path / "s") as at:
        complete(at)
        processes, ports, segments = family(at), ports_of(at), segments_of(at)
        assert len(processes) == PROCESSES
        assert ports <= listening()
        assert len(segments) > 0
        kill(processes)
        _, left = psutil.wait_procs(processes, timeout=TIMEOUT_S)

    assert left == []
    assert ports & listening() == set()
    assert segments & named_segments() == set()


def kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # its parent's death was its own
            process.kill()


def ports_of(at: Up) -> set[int]:
    urls = (at.url, *(replica.endpoint or "" for replica in at.status().replicas))
    return {urlsplit(url).port or 0 for url in urls}


def listening() -> set[int]:
    connections = psutil.net_connections("tcp")
    return {one.laddr.port for one in connections if one.laddr and one.status == "LISTEN"}


def segments_of(at: Up) -> set[int]:
    """Return the inodes of the shared memory that the processes have open."""
    return {inode for process in family(at) for inode in mapped_segments(process.pid)}


def named_segments() -> set[int]:
    """Return the inodes of the shared memory that would outlive everybody who has it open."""
    with os.scandir("/dev/shm") as entries:
        return {entry.inode() for entry in entries}
