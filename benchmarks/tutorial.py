"""The benchmark of AWS Neuron's data-parallel tutorial, against two simulated endpoints.

    python -m benchmarks.tutorial

LLMPerf's flags as the tutorial gives them: N(7936, 30) tokens in, N(256, 30) out, 1,000 requests,
8 in flight, of two endpoints with a batch size of 4 each. Only paths and ports differ. The
endpoints are replicore's simulator, so the rates are of no real engine: what is measured is that
the run is the one that was asked for.

The simulator ends its answers where it likes, as a model does, so the first run has fewer output
tokens than were asked for. The second one adds ``ignore_eos`` to the sampling parameters.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.result_file import Row, write_result

MODEL = "/ubuntu/model_hf/Llama-3.3-70B-Instruct/"
FLAGS = (
    *("--mean-input-tokens", "7936", "--stddev-input-tokens", "30"),
    *("--mean-output-tokens", "256", "--stddev-output-tokens", "30"),
    *("--num-concurrent-requests", "8", "--timeout", "21600", "--llm-api", "openai"),
)
SAMPLING: Row = {"temperature": 0.7, "top_k": 50}
# A request takes about a second, so that all of them take some minutes.
ENDPOINT = (
    *("--port", "0", "--model", MODEL, "--slots", "4", "--max-model-len", "12800"),
    *("--prefill-tokens-per-s", "40000", "--decode-tokens-per-s", "300", "--no-prefix-cache"),
)


@contextmanager
def endpoint() -> Iterator[str]:
    """Run a simulator and yield its URL."""
    command = [sys.executable, "-m", "replicore.engines.sim", *ENDPOINT]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip().rpartition(" ")[2]
        finally:
            process.kill()


def run(urls: Sequence[str], folder: Path, requests: int, sampling: Row) -> tuple[float, str]:
    """Run the benchmark; return its seconds, and what it printed."""
    command = [sys.executable, "-m", "replicore.token_benchmark_ray", "--model", MODEL, *FLAGS]
    command += ["--max-num-completed-requests", str(requests), "--results-dir", str(folder)]
    command += ["--additional-sampling-params", json.dumps(sampling)]
    # The program's own file, too: it has the requests of each endpoint.
    command += ["--result", str(folder / "ours.json")]
    environ = {
        **os.environ,
        "OPENAI_API_BASE": ";".join(f"{url}/v1" for url in urls),
        "OPENAI_API_KEY": "EMPTY",
    }
    started = time.perf_counter()
    done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, check=True)
    return time.perf_counter() - started, done.stdout


def row(folder: Path, sampling: Row, seconds: float) -> Row:
    """Return what the files say of the run."""
    [path] = folder.glob("*_summary.json")
    summary = json.loads(path.read_text())
    ours = json.loads((folder / "ours.json").read_text())
    records = ours["records"]
    by_endpoint = [record["endpoint"] for record in records]
    asked_right = sum(one["input_tokens"] == one["input_tokens_asked"] for one in records)
    return {
        "sampling": sampling,
        "file": path.name,
        "seconds": round(seconds, 1),
        "requests": len(records),
        "errors": summary["results_number_errors"],
        "requests_per_endpoint": sorted(map(by_endpoint.count, set(by_endpoint))),
        "prompts_of_exactly_the_asked_length": asked_right,
        "input_tokens_mean": summary["results_number_input_tokens_mean"],
        "input_tokens_stddev": summary["results_number_input_tokens_stddev"],
        "output_tokens_mean": summary["results_number_output_tokens_mean"],
        "output_tokens_stddev": summary["results_number_output_tokens_stddev"],
        "output_tokens_per_s": summary["results_mean_output_throughput_token_per_s"],
        "ttft_p50_s": summary["results_ttft_s_quantiles_p50"],
        "inter_token_latency_p50_s": summary["results_inter_token_latency_s_quantiles_p50"],
        "full_share": ours["summary"]["client"]["full_share"],
        "verdict": ours["verdict"]["kind"],
    }


def measure(requests: int, sampling: Row) -> Row:
    """Run the benchmark over two new endpoints."""
    with ExitStack() as stack:
        urls = [stack.enter_context(endpoint()) for _ in range(2)]
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        seconds, printed = run(urls, folder, requests, sampling)
        found = row(folder, sampling, seconds)
    print(printed, json.dumps(found, indent=1), sep="\n")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1000)
    requests = parser.parse_args().requests
    rows = [
        measure(requests, sampling) for sampling in (SAMPLING, {**SAMPLING, "ignore_eos": True})
    ]
    settings = {"flags": " ".join(FLAGS), "endpoint": " ".join(ENDPOINT), "endpoints": 2}
    print(write_result("tutorial", rows, settings=settings, packages=["replicore"]))


if __name__ == "__main__":
    main()
