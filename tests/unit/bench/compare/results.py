"""Result documents of every tool, as small as they can be, with numbers that tests can work out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from replicore.bench.compare.formats.source import Source


def source(
    document: Any,
    name: str = "result.json",
    beside: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> Source:
    """Return a document with its neighbours by their names."""
    return Source(name, document, lambda other: (beside or {}).get(other, []))


def record(index: int, *, ttft: float = 0.2, gap: float = 0.1, tokens: int = 3) -> dict[str, Any]:
    """One of our requests, sent a second after the one before, a token in each chunk."""
    start = float(index)
    times = [start + ttft + gap * place for place in range(tokens)]
    return {
        "index": index,
        "endpoint": "http://127.0.0.1:8000",
        "replica": "r0",
        "input_tokens_asked": 10,
        "output_tokens_asked": tokens,
        "intended_s": start - 0.05,
        "dispatched_s": start,
        "ended_s": times[-1] + 0.01,
        "chunk_times_s": times,
        "chunk_tokens": [1.0] * tokens,
        "input_tokens": 10,
        "output_tokens": tokens,
        "failure": None,
    }


def spread(value: float, *, n: int = 100, **more: Any) -> dict[str, Any]:
    """A distribution of schema 2 with everything at one value."""
    quantiles = [
        {"p": p, "value": value, "low": value * 0.9, "high": value * 1.1}
        for p in (0.5, 0.9, 0.95, 0.99)
    ]
    mean = {"mean": value, "mean_low": value * 0.95, "mean_high": value * 1.05}
    return {"n": n, "censored": 0, **mean, "quantiles": quantiles, **more}


def row(rate: float, **more: Any) -> dict[str, Any]:
    """A row of schema 2: TTFT 0.2 s, TPOT and gaps 0.1 s, E2E 0.4 s."""
    rates = {"value": rate, "low": rate * 0.9, "high": rate * 1.1}
    return {
        "succeeded": 100,
        "errors": 0,
        "input_tokens": 1000,
        "output_tokens": 300,
        "output_tokens_per_s": rates,
        "total_tokens_per_s": rates,
        "requests_per_s": rates,
        "ttft_s": spread(0.2),
        "tpot_s": spread(0.1),
        "gap_s": spread(0.1, n=200),
        "max_stall_s": spread(0.1),
        "e2e_s": spread(0.4),
        "normalized_s": spread(0.4 / 3),
        **more,
    }


def ours(records: Sequence[Mapping[str, Any]] = (), **more: Any) -> dict[str, Any]:
    """A document of schema 2: closed loop of 8, steady from second 10 on."""
    return {
        "schema": "replicore-bench/2",
        "run": {
            "model": "tiny",
            "workload": {"seed": 1},
            "load": {"concurrency": 8, "arrivals": None},
            "simulated": False,
            "interrupted": False,
        },
        "environment": {"versions": {"replicore": "1.0"}},
        "summary": {
            "total": row(30.0),
            "whole": row(20.0),
            "window": {"start_s": 10.0, "end_s": 1000.0, "steady": True},
            "latency_from": "dispatched",
        },
        "verdict": {"kind": "VALID", "reasons": [], "numbers": {}},
        "records": list(records),
        **more,
    }


def response(
    version: str, *, tokens: int = 11, ttft: float = 0.2, e2e: float = 1.2
) -> dict[str, Any]:
    """One of LLMPerf's responses: 11 tokens as counted, 6 events, the last content at the end."""
    events = 6
    latency = {
        "v2.0": e2e / tokens,
        "main": e2e / events,
        "neuron": (e2e - ttft) / (tokens - 1),
    }[version]
    counted = events if version == "v2.0" else tokens
    return {
        "error_code": None,
        "error_msg": "",
        "inter_token_latency_s": latency,
        "ttft_s": ttft,
        "end_to_end_latency_s": e2e,
        "request_output_throughput_token_per_s": counted / e2e,
        "number_total_tokens": 100 + tokens,
        "number_output_tokens": tokens,
        "number_input_tokens": 100,
    }


def llmperf_summary(
    *, requests: int = 100, concurrency: int = 4, ttft_min: float = 0.1
) -> dict[str, Any]:
    """LLMPerf's summary, as flat as it is, with its whole numbers as text."""
    found: dict[str, Any] = {
        "version": "2023-08-31",
        "name": "tiny_100_10_summary",
        "model": "tiny",
        "num_concurrent_requests": concurrency,
        "results_num_requests_started": requests,
        "results_number_errors": 0,
        "results_num_completed_requests": requests,
        "results_num_completed_requests_per_min": 120.0,
        "results_mean_output_throughput_token_per_s": 22.0,
        "results_number_input_tokens_mean": 100.0,
        "results_number_input_tokens_min": "100",
        "results_number_output_tokens_mean": 11.0,
    }
    values = {
        "inter_token_latency_s": 0.1,
        "ttft_s": 0.2,
        "end_to_end_latency_s": 1.2,
        "request_output_throughput_token_per_s": 9.0,
    }
    for name, value in values.items():
        found |= {f"results_{name}_quantiles_p{p}": value for p in (25, 50, 75, 90, 95, 99)}
        found |= {f"results_{name}_mean": value, f"results_{name}_stddev": math.nan}
    return found | {"results_ttft_s_min": ttft_min, "timestamp": 1}


def vllm(**more: Any) -> dict[str, Any]:
    """A result of ``vllm bench serve`` without ``--save-detailed``."""
    times = {"ttft": 200.0, "tpot": 100.0, "itl": 100.0, "e2el": 400.0}
    found: dict[str, Any] = {
        "backend": "openai",
        "model_id": "tiny",
        "num_prompts": 100,
        "request_rate": "inf",
        "burstiness": 1.0,
        "max_concurrency": 8,
        "duration": 10.0,
        "completed": 100,
        "failed": 0,
        "total_input_tokens": 1000,
        "total_output_tokens": 300,
        "request_throughput": 10.0,
        "output_throughput": 30.0,
        "total_token_throughput": 130.0,
    }
    for name, value in times.items():
        found |= {f"{which}_{name}_ms": value for which in ("mean", "median", "std", "p90", "p99")}
    return found | more


def detailed(
    count: int, *, ttft: float = 0.2, gaps: Sequence[float] = (0.1, 0.1)
) -> dict[str, Any]:
    """What ``--save-detailed`` adds: requests of three tokens, listed against their order."""
    return {
        "ttfts": [ttft] * count,
        "itls": [list(gaps)] * count,
        "input_lens": [10 + place % 3 for place in range(count)],
        "output_lens": [len(gaps) + 1] * count,
        "errors": [""] * count,
        "start_times": [float(count - place) for place in range(count)],
    }


def guided(value: float, *, count: int = 100, least: float | None = None) -> dict[str, Any]:
    """One of GuideLLM's distributions, with everything at one value."""
    percentiles = dict.fromkeys(("p50", "p90", "p95", "p99"), value)
    low = value if least is None else least
    good = {"mean": value, "min": low, "count": count, "percentiles": percentiles}
    return {"successful": good, "total": good}


def guided_request(start: float, *, ttft_ms: float = 200.0, tokens: int = 3) -> dict[str, Any]:
    """One of GuideLLM's requests: E2E 0.41 s with the stream's end."""
    return {
        "info": {"timings": {"request_start": start, "last_token_iteration": start + 0.4}},
        "request_start_time": start,
        "request_end_time": start + 0.41,
        "time_to_first_token_ms": ttft_ms,
        "inter_token_latency_ms": 100.0,
        "time_per_output_token_ms": 400.0 / tokens,
        "request_latency": 0.41,
        "output_tokens": tokens,
    }


def guidellm_benchmark(strategy: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "config": {"strategy": dict(strategy), "backend": {"model": "tiny"}},
        "start_time": 100.0,
        "end_time": 200.0,
        "warmup_duration": 0.0,
        "cooldown_duration": 0.0,
        "metrics": {
            "request_totals": {"successful": 100, "incomplete": 4, "errored": 1, "total": 105},
            "time_to_first_token_ms": guided(200.0),
            "inter_token_latency_ms": guided(100.0, count=200),
            "time_per_output_token_ms": guided(133.3, count=300),
            "request_latency": guided(0.41),
            "prompt_token_count": guided(10.0),
            "output_token_count": guided(3.0),
            "output_tokens_per_second": guided(30.0),
            "tokens_per_second": guided(130.0),
            "requests_per_second": guided(10.0),
        },
        "requests": {"successful": [], "incomplete": [], "errored": []},
        **more,
    }


def guidellm(*benchmarks: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {"version": 1, "guidellm_version": "0.5.0"},
        "args": {"model": "asked"},
        "benchmarks": list(benchmarks),
    }


def measured_in(value: float, unit: str = "ms") -> dict[str, Any]:
    """One of AIPerf's metrics, with everything at one value."""
    return {"unit": unit, **dict.fromkeys(("avg", "min", "max", "p50", "p90", "p95", "p99"), value)}


def aiperf(**more: Any) -> dict[str, Any]:
    return {
        "schema_version": "1.5",
        "aiperf_version": "0.13.0",
        "input_config": {
            "models": {"items": [{"name": "tiny"}]},
            "endpoint": {"type": "chat", "streaming": True, "use_server_token_count": False},
            "phases": [
                {"name": "warmup", "type": "concurrency", "concurrency": 1},
                {"name": "profiling", "type": "concurrency", "concurrency": 8},
            ],
        },
        "time_to_first_token": measured_in(200.0),
        "inter_token_latency": measured_in(100.0),
        "inter_chunk_latency": measured_in(100.0),
        "request_latency": measured_in(0.4, "s"),
        "output_token_throughput": {"unit": "tokens/sec", "avg": 30.0},
        "request_throughput": {"unit": "requests/sec", "avg": 10.0},
        "request_count": {"unit": "requests", "avg": 100.0},
        "error_request_count": {"unit": "requests", "avg": 2.0},
        "input_sequence_length": measured_in(10.0, "tokens"),
        "output_sequence_length": measured_in(3.0, "tokens"),
        **more,
    }


def aiperf_line(start: int, **more: Any) -> dict[str, Any]:
    """One line of AIPerf's records."""
    values: dict[str, tuple[Any, str]] = {
        "time_to_first_token": (200.0, "ms"),
        "inter_token_latency": (100.0, "ms"),
        "inter_chunk_latency": ([90.0, 110.0], "ms"),
        "request_latency": (400.0, "ms"),
        "output_sequence_length": (3, "tokens"),
    }
    return {
        "metadata": {
            "request_start_ns": start,
            "benchmark_phase": "profiling",
            "was_cancelled": False,
        },
        "metrics": {name: {"value": v, "unit": unit} for name, (v, unit) in values.items()},
        "error": None,
        **more,
    }
