"""Seconds from SIGKILL of each kind of process until the deployment is as promised again.

    python -m benchmarks.sigkill

Two simulated replicas. After a kill of the supervisor: until no process of the deployment is left.
After a kill of an engine, a keeper or the gateway: until everything is ready again, which has the
first back-off in it (half to all of ``supervisor.backoff_initial``; the gateway's is 0.1 s). Each
run is a deployment of its own, so that no back-off has grown.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.result_file import write_result
from replicore.deploy import control
from replicore.deploy.programs import DEPLOYMENT_VARIABLE
from replicore.deploy.state import read_record
from replicore.deploy.status import Status
from replicore.deploy.strays import find_strays

NAME = "sigkill"
OPTIONS = ("up", "--name", NAME, "--engine", "sim", "--replicas", "2", "--tp", "1", "--port", "0")
TARGET_S = 2.0
TIMEOUT_S = 60.0
LOOK_EVERY_S = 0.005

# Who is killed, in this order: each replica once, and the supervisor last.
VICTIMS: dict[str, Callable[[Status], int | None]] = {
    "engine": lambda status: status.replicas[0].pid,
    "keeper": lambda status: status.replicas[1].keeper_pid,
    "gateway": lambda status: status.gateway.pid,
    "supervisor": lambda status: status.pid,
}


@contextmanager
def deployment() -> Iterator[Path]:
    """Run a deployment for the block, at most; yield its state folder."""
    with (
        tempfile.TemporaryDirectory() as state,
        subprocess.Popen(
            [sys.executable, "-m", "replicore", *OPTIONS],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "REPLICORE_STATE_DIR": state},
        ) as process,
    ):
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("ready "):
            raise SystemExit(f"no ready line, but {line!r}")
        try:
            yield Path(state) / NAME
        finally:
            process.kill()


def seconds_until(condition: Callable[[], bool], since: float) -> float:
    while not condition():
        if time.perf_counter() - since > TIMEOUT_S:
            raise SystemExit(f"still waiting after {TIMEOUT_S:g} s")
        time.sleep(LOOK_EVERY_S)
    return time.perf_counter() - since


def kill_and_wait(folder: Path, victim: str) -> float:
    """Return the seconds until all is as it should be after the kill of ``victim``."""
    record, pid_of = read_record(folder), VICTIMS[victim]
    pid = pid_of(control.status(folder))
    assert record is not None
    assert pid is not None
    tag = {DEPLOYMENT_VARIABLE: record.id}

    def is_gone() -> bool:
        return not find_strays(tag)

    def is_back() -> bool:
        status = control.status(folder)
        return status.ready and pid_of(status) not in (None, pid)

    started = time.perf_counter()
    os.kill(pid, signal.SIGKILL)
    return seconds_until(is_gone if victim == "supervisor" else is_back, started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    rows: list[dict[str, float]] = []
    for _ in range(parser.parse_args().runs):
        with deployment() as folder:
            row = {f"{victim}_s": round(kill_and_wait(folder, victim), 3) for victim in VICTIMS}
        print(row)
        rows.append(row)
    longest = {f"{key[:-2]}_max_s": max(row[key] for row in rows) for key in rows[0]}
    settings = {"command": " ".join(OPTIONS), "supervisor_target_s": TARGET_S, **longest}
    print(write_result("sigkill", rows, settings=settings))


if __name__ == "__main__":
    main()
