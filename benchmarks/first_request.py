"""Seconds from the command ``replicore bench`` to its first request at the server.

    python -m benchmarks.first_request

A mock on loopback; each start is a new process. The first start is not counted: it writes Python's
bytecode cache, as an install does. The clock stops when the first measured stream is at the mock,
after the questions that make prompts of exact length.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL

from benchmarks.result_file import write_result
from replicore.bench.selfcheck.mock.child import running_mock
from replicore.bench.selfcheck.mock.server import Plan

TARGET_S = 0.5
PLAN = Plan(ttft_s=0.01, itl_s=0.001, tokens=4)
OPTIONS = ("-n", "1", "-c", "1", "--warmup", "0", "--output-tokens", "4", "--no-calibrate")


async def first_request_s() -> float:
    async with running_mock(PLAN) as mock:
        with tempfile.TemporaryDirectory() as folder:
            argv = [sys.executable, "-m", "replicore", "bench", "--url", mock.url, *OPTIONS]
            environ = {**os.environ}
            environ.pop("PYTHONDONTWRITEBYTECODE", None)
            started = time.perf_counter()
            process = await asyncio.create_subprocess_exec(
                *argv, "-o", f"{folder}/run.json", stdout=DEVNULL, stderr=DEVNULL, env=environ
            )
            if await process.wait():
                raise SystemExit(f"{' '.join(argv)} failed")
        return (await mock.report(in_flight=1)).began_s - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    asyncio.run(first_request_s())
    rows = []
    for _ in range(runs):
        seconds = asyncio.run(first_request_s())
        print(f"first request after {seconds:.3f} s")
        rows.append({"first_request_s": round(seconds, 4)})
    values = [row["first_request_s"] for row in rows]
    settings = {
        "target_s": TARGET_S,
        "median_s": statistics.median(values),
        "largest_s": max(values),
    }
    print(settings)
    print(write_result("first_request", rows, settings=settings, packages=["numpy", "pydantic"]))


if __name__ == "__main__":
    main()
