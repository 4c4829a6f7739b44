"""SIGKILL of a supervisor, at any moment: no engine, no gateway and no keeper outlives it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from replicore.deploy.control import connect
from replicore.deploy.state import DeploymentRecord, read_record, state_root
from replicore.deploy.strays import find_strays
from replicore.errors import DeploymentError
from tests.integration.deploy.deployments import wait_until

SUPERVISE = (sys.executable, "-m", "tests.integration.deploy.supervise")


@contextmanager
def supervisor(*faults: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a supervisor that the block kills, or that is killed at its end."""
    with subprocess.Popen([*SUPERVISE, *faults], stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def ready_supervisor(*faults: str) -> Iterator[subprocess.Popen[bytes]]:
    with supervisor(*faults) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process


def record() -> DeploymentRecord | None:
    return read_record(state_root() / "test")


def ours() -> list[int]:
    """Return the pids of the deployment's keepers and of what they keep."""
    now = record()
    return find_strays({"REPLICORE_DEPLOYMENT": now.id}) if now else []


def test_nothing_outlives_a_killed_supervisor() -> None:
    with ready_supervisor() as process:
        assert len(ours()) == 6  # a keeper each for two engines and the gateway
        process.kill()

        assert wait_until(lambda: ours() == [])


def test_daemon_that_ignores_sigterm_does_not_outlive_a_killed_supervisor() -> None:
    with ready_supervisor("--daemon", "--ignore-sigterm") as process:
        assert len(ours()) == 8
        process.kill()

        assert wait_until(lambda: ours() == [])


def has_keeper() -> bool:
    return ours() != []


def has_engine() -> bool:
    now = record()
    return now is not None and any(unit.process for unit in now.units)


def has_all() -> bool:
    return len(ours()) == 6


@pytest.mark.parametrize("moment", [has_keeper, has_engine, has_all])
def test_nothing_outlives_a_supervisor_killed_during_its_start(
    moment: Callable[[], bool],
) -> None:
    with supervisor("--silent") as process:
        assert wait_until(moment)
        process.kill()

        assert wait_until(lambda: ours() == [])


def test_killed_supervisor_is_not_running_any_more() -> None:
    with ready_supervisor() as process:
        folder: Path = state_root() / "test"
        connect(folder).close()
        process.kill()
        process.wait()

        with pytest.raises(DeploymentError, match='"test" is not running'):
            connect(folder)


def test_up_after_a_killed_supervisor_has_the_same_ports() -> None:
    with ready_supervisor() as process:
        before = record()
        process.kill()
    with ready_supervisor():
        after = record()

    assert before is not None
    assert after is not None
    assert [unit.port for unit in after.units] == [unit.port for unit in before.units]


def test_up_kills_what_outlived_supervisor_and_keepers() -> None:
    with ready_supervisor("--daemon") as process:
        last = record()
        assert last is not None
        keepers = [unit.keeper.pid for unit in last.units if unit.keeper]
        for pid in (process.pid, *keepers):
            os.kill(pid, 9)
    tag = {"REPLICORE_DEPLOYMENT": last.id}
    assert wait_until(lambda: len(find_strays(tag)) == 2)  # nobody was left to kill the daemons

    with ready_supervisor():
        assert find_strays(tag) == []
