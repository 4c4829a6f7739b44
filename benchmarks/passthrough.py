"""What the gateway costs two real replicas: output tok/s through it over those without it.

    python -m benchmarks.passthrough

One deployment, two llama.cpp replicas on one core each. Runs come in pairs, one through the gateway
and one to both engines directly, in turns first; the client splits the load of the direct ones with
the fewest in flight, which is what the gateway has to be measured against. Prompts differ in every
run, and have all the same length, so no run finds the prompts of another in a cache.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.result_file import write_result
from replicore.bench.load.workload import Lengths, Workload
from replicore.bench.runner import run_bench
from replicore.bench.stats.summary import summarize
from replicore.deploy import control

SLOTS = 4
OPTIONS = ("--replicas", "2", "--tp", "1", "--port", "0", "--set", f"layout.batch_size={SLOTS}")
REQUESTS = 32
INPUT_TOKENS, OUTPUT_TOKENS = 64, 48
TARGET = 0.99
STOP_TIMEOUT_S = 60.0


@contextmanager
def deployment() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Run two replicas; give the gateway's URL, and those of the engines."""
    with tempfile.TemporaryDirectory() as state:
        command = [sys.executable, "-m", "replicore", "up", "--name", "passthrough", *OPTIONS]
        environ = {**os.environ, "REPLICORE_STATE_DIR": state}
        pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
        with subprocess.Popen(
            command, stdout=pipe, stderr=nowhere, text=True, env=environ
        ) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.startswith("ready "):
                raise SystemExit(f"no ready line, but {line!r}")
            status = control.status(Path(state) / "passthrough")
            try:
                yield line.split()[1], tuple(one.endpoint for one in status.replicas)
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(STOP_TIMEOUT_S)


def output_rate(urls: tuple[str, ...], seed: int) -> float:
    """Return output tokens per second of one run."""
    workload = Workload(
        input_tokens=Lengths(INPUT_TOKENS), output_tokens=Lengths(OUTPUT_TOKENS), seed=seed
    )
    result = asyncio.run(run_bench(urls, workload, requests=REQUESTS, concurrency=2 * SLOTS))
    total = summarize(result).total
    if total.errors or total.output_tokens_per_s is None:
        raise SystemExit(f"{total.errors} requests to {urls} failed")
    return total.output_tokens_per_s.value


def interval(ratios: list[float]) -> tuple[float, float]:
    """Return the 95 % interval of the mean ratio: bootstrap over pairs, 10,000 resamples."""
    rng = np.random.default_rng(0)
    means = rng.choice(ratios, size=(10_000, len(ratios))).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=20)
    pairs = parser.parse_args().pairs
    rows = []
    with deployment() as (gateway, engines):
        output_rate((gateway,), seed=0)  # warms up
        for pair in range(pairs):
            order = ["gateway", "direct"] if pair % 2 else ["direct", "gateway"]
            urls = {"gateway": (gateway,), "direct": engines}
            rate = {
                way: output_rate(urls[way], seed=2 * pair + turn + 1)
                for turn, way in enumerate(order)
            }
            ratio = rate["gateway"] / rate["direct"]
            print(f"pair {pair}: {rate['gateway']:.1f} / {rate['direct']:.1f} = {ratio:.3f}")
            rows.append({f"{way}_tok_s": round(rate[way], 2) for way in rate} | {"ratio": ratio})
    ratios = [float(row["ratio"]) for row in rows]
    low, high = interval(ratios)
    mean, median = statistics.mean(ratios), statistics.median(ratios)
    print(f"ratio: mean {mean:.4f} (95 % {low:.4f} to {high:.4f}), median {median:.4f}")
    summary = {"ratio_mean": mean, "ratio_low": low, "ratio_high": high, "ratio_median": median}
    settings = {
        "slots": SLOTS,
        "requests": REQUESTS,
        "input_tokens": INPUT_TOKENS,
        "output_tokens": OUTPUT_TOKENS,
        "target": TARGET,
    }
    path = write_result("passthrough", [*rows, summary], settings=settings, packages=["xllamacpp"])
    print(path)


if __name__ == "__main__":
    main()
