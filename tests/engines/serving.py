"""Deployments of real vLLM replicas, and what is asked of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from replicore.http.fetch import Reply, fetch
from tests.chaos.streams import Stream
from tests.integration.deployment import Up, eventually, up

# A start imports PyTorch in three processes: forty seconds of two idle cores.
START_S = 400.0
TIMEOUT_S = 60.0

SLOTS = 8
MAX_MODEL_LEN = 2048

# What the tiny model goes on with, whichever replica is asked and however many cores it has.
PROMPT = "Hello there"
TEXT = '</C"MmMmMQd3M3MTt8.e|\\?Ey<}\\J"Cir~J8[km7'


@contextmanager
def vllm_up(python: Path, model: Path, *, replicas: int, tp: int, state: Path) -> Iterator[Up]:
    """Run ``replicore up`` with vLLM on CPU cores for the block."""
    settings = {
        "engine.python": str(python),
        "engine.args": '["--enforce-eager"]',
        "engine.vllm.device": "cpu",
        "engine.vllm.dtype": "float32",
        "engine.vllm.cpu_kv_cache": "1GiB",
        "layout.batch_size": str(SLOTS),
        "layout.max_model_len": str(MAX_MODEL_LEN),
        "supervisor.backoff_initial": "100ms",
    }
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    layout = ("--replicas", str(replicas), "--tp", str(tp))
    with up("--engine", "vllm", "--model", str(model), *layout, *words, state=state) as at:
        yield at


def complete(at: Up, **body: object) -> Any:
    """Return the answer to a completion that is no stream."""
    request = {"prompt": PROMPT, "max_tokens": len(TEXT), "temperature": 0, **body}
    return json.loads(post(at.root_url, "/v1/completions", request).body)


def post(url: str, path: str, body: object) -> Reply:
    data = json.dumps(body).encode()
    return asyncio.run(fetch(url, "POST", path, body=data, timeout=TIMEOUT_S))


def token_ids(stream: Stream) -> list[int]:
    """Return the ids of a stream's output, as its events name them."""
    choices = [choice for event in stream.objects() for choice in event["choices"]]
    return [token for choice in choices for token in choice.get("token_ids") or []]


def until_back(at: Up, index: int, incarnation: int) -> None:
    """Return when a replica is ready after that incarnation, and nothing is outstanding."""
    eventually(
        lambda: at.status().ready and at.replica(index).incarnation > incarnation,
        "not ready again",
        within_s=START_S,
    )
    eventually(at.is_idle)
