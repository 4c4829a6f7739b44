"""Milliseconds until an abandoned request frees its slot, as the engine itself sees it.

    python -m benchmarks.disconnect

A client leaves through the gateway during prefill, or in the middle of its stream, on an idle
replica and on one whose other slots are busy. The time runs from the client's close to the first
look at the engine's ``/slots`` that finds the slot free. Each look costs the engine a task between
two batches, so it is taken every 5 ms only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from benchmarks.result_file import write_result
from replicore.deploy import control
from replicore.http.client import Exchange, Pool, encode_request
from replicore.http.fetch import fetch

TARGET_MS = 200.0
LOOK_EVERY_S = 0.005
TIMEOUT_S = 120.0
OPTIONS = ("up", "--name", "disconnect", "--replicas", "1", "--port", "0")


class Sink:
    """Waits for the first part of a stream's body."""

    def __init__(self) -> None:
        self.got_body = asyncio.Event()

    def on_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None: ...

    def on_body(self, data: bytes) -> None:
        self.got_body.set()

    def on_end(self) -> None: ...

    def on_error(self, error: Exception) -> None: ...


@contextmanager
def one_replica(tp: int) -> Iterator[tuple[str, str]]:
    """Run a replica on ``tp`` cores; yield the URLs of the gateway and of the engine."""
    with tempfile.TemporaryDirectory() as state:
        environ = {**os.environ, "REPLICORE_STATE_DIR": state}
        argv = [sys.executable, "-m", "replicore", *OPTIONS, "--tp", str(tp)]
        with subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environ
        ) as process:
            assert process.stdout is not None
            url = process.stdout.readline().split()[1].removesuffix("/v1")
            status = control.status(Path(state) / "disconnect")
            yield url, status.replicas[0].endpoint
            process.send_signal(signal.SIGTERM)
            process.wait(TIMEOUT_S)


async def busy_slots(engine: str) -> int:
    reply = await fetch(engine, "GET", "/slots", timeout=TIMEOUT_S)
    return sum(slot["is_processing"] for slot in json.loads(reply.body))


async def until_busy(engine: str, count: int) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while await busy_slots(engine) != count:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_EVERY_S)


def stream(pool: Pool, prompt: list[int], sink: Sink) -> Exchange:
    body = {"prompt": prompt, "max_tokens": 2000, "stream": True, "ignore_eos": True}
    fields = [(b"content-type", b"application/json")]
    request = encode_request(
        "POST",
        "/v1/completions",
        host=pool.authority,
        headers=fields,
        body=json.dumps(body).encode(),
    )
    return pool.send(request, sink)


@asynccontextmanager
async def background(pool: Pool, engine: str, count: int) -> AsyncIterator[None]:
    """Keep ``count`` other slots decoding."""
    others = []
    for index in range(count):
        sink = Sink()
        others.append(stream(pool, [100 + index], sink))
        await sink.got_body.wait()
    yield
    for other in others:
        other.cancel()
    await until_busy(engine, 0)


async def leave(gateway: str, engine: str, *, phase: str, others: int, run: int) -> float:
    """Return the milliseconds from one client's close to its free slot."""
    pool = Pool(gateway)
    async with background(pool, engine, others):
        # A new prompt each time: nothing of it may be in the engine's cache.
        prompt = [1000 + run * 7, *((i * 31 + run) % 900 + 50 for i in range(800))]
        sink = Sink()
        exchange = stream(pool, prompt if phase == "prefill" else prompt[:2], sink)
        if phase == "decode":
            await sink.got_body.wait()
        else:
            await until_busy(engine, others + 1)
            await asyncio.sleep(0.05 * (run % 5))
        started = time.perf_counter()
        exchange.cancel()
        await until_busy(engine, others)
        elapsed_ms = (time.perf_counter() - started) * 1000
    await pool.close()
    return elapsed_ms


async def measure(gateway: str, engine: str, *, tp: int, runs: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for phase in ("prefill", "decode"):
        for others in (0, 3):
            times = [
                await leave(gateway, engine, phase=phase, others=others, run=run)
                for run in range(runs)
            ]
            row: dict[str, object] = {
                "tp": tp,
                "phase": phase,
                "other_busy_slots": others,
                "freed_median_ms": round(statistics.median(times), 1),
                "freed_max_ms": round(max(times), 1),
                "runs": runs,
            }
            print(row)
            rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=11)
    runs = parser.parse_args().runs
    rows = []
    for tp in sorted({1, len(os.sched_getaffinity(0))}):
        with one_replica(tp) as (gateway, engine):
            rows += asyncio.run(measure(gateway, engine, tp=tp, runs=runs))
    settings = {"command": " ".join(OPTIONS), "target_ms": TARGET_MS}
    print(write_result("disconnect", rows, settings=settings, packages=["xllamacpp"]))


if __name__ == "__main__":
    main()
