"""Seconds from ``replicore up`` to its ``ready`` line, with the model in the page cache.

    python -m benchmarks.startup

Two replicas on one core each, the embedded model; every start is a new process with an empty state
folder. The first start is not counted: it fills the page cache.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks.result_file import write_result

OPTIONS = ("up", "--replicas", "2", "--tp", "1", "--port", "0")
TARGET_S = 5.0
STOP_TIMEOUT_S = 60.0


def start_and_stop() -> tuple[float, float]:
    """Return the seconds until ``ready``, and those from SIGTERM to the end of the process."""
    with tempfile.TemporaryDirectory() as state:
        environ = {**os.environ, "REPLICORE_STATE_DIR": state}
        started = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, "-m", "replicore", *OPTIONS],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environ,
        ) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            ready_s = time.perf_counter() - started
            if not line.startswith("ready "):
                raise SystemExit(f"no ready line, but {line!r}")
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_TIMEOUT_S)
            return ready_s, time.perf_counter() - started - ready_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    start_and_stop()
    rows = []
    for _ in range(runs):
        ready_s, stop_s = start_and_stop()
        print(f"ready after {ready_s:.2f} s, stopped after {stop_s:.2f} s")
        rows.append({"ready_s": round(ready_s, 3), "stop_s": round(stop_s, 3)})
    median = statistics.median(row["ready_s"] for row in rows)
    summary = {"ready_median_s": median, "ready_max_s": max(row["ready_s"] for row in rows)}
    settings = {"command": " ".join(OPTIONS), "target_s": TARGET_S, **summary}
    path = write_result("startup", rows, settings=settings, packages=["xllamacpp"])
    print(f"median {median:.2f} s (target {TARGET_S:g} s): {path}")


if __name__ == "__main__":
    main()
