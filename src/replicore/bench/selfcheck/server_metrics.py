"""What a page of metrics says of an engine's load, under whatever names it has. Pure.

vLLM, llama.cpp and SGLang each have their own names for the same things. A gateway's page has the
engines' metrics with a label ``replica``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_FIELDS = {
    "vllm:num_requests_running": "running",
    "vllm:num_requests_waiting": "waiting",
    "vllm:kv_cache_usage_perc": "kv_usage",
    "vllm:gpu_cache_usage_perc": "kv_usage",  # its name before 0.10
    "vllm:generation_tokens_total": "output_tokens",
    "llamacpp:requests_processing": "running",
    "llamacpp:requests_deferred": "waiting",
    "llamacpp:kv_cache_usage_ratio": "kv_usage",
    "llamacpp:tokens_predicted_total": "output_tokens",
    "sglang:num_running_reqs": "running",
    "sglang:num_queue_reqs": "waiting",
    "sglang:token_usage": "kv_usage",
    "sglang:generation_tokens_total": "output_tokens",
}

_SAMPLE = re.compile(
    rf"^({'|'.join(map(re.escape, _FIELDS))})(?:\{{(.*)\}})?[ \t]+([0-9.eE+-]+)", re.MULTILINE
)
_REPLICA = re.compile(r'(?:^|,)[ \t]*replica="([^"]*)"')

# Engines with several schedulers have a sample for each: requests add up, the fullest cache counts.
_JOIN: dict[str, Callable[[float, float], float]] = {
    "running": lambda one, other: one + other,
    "waiting": lambda one, other: one + other,
    "kv_usage": max,
    "output_tokens": lambda one, other: one + other,
}


@dataclass(slots=True)
class Told:
    """What one engine told; None for what it did not."""

    running: float | None = None
    waiting: float | None = None
    kv_usage: float | None = None
    output_tokens: float | None = None

    def take(self, field: str, value: float) -> None:
        before = getattr(self, field)
        setattr(self, field, value if before is None else _JOIN[field](before, value))


def read_page(text: str) -> dict[str | None, Told]:
    """Return what each replica of a page told; None is the name of one without a label."""
    told: dict[str | None, Told] = {}
    for name, labels, value in _SAMPLE.findall(text):
        replica = _REPLICA.search(labels)
        number = _number(value)
        if number is not None:
            key = replica[1] if replica else None
            told.setdefault(key, Told()).take(_FIELDS[name], number)
    return told


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
