"""The AWS tutorial's deployment, as the tests of the Neuron engine vary it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from replicore.cores import CoreRange
from replicore.engines.command import Command
from replicore.engines.engine import ReplicaPlan
from replicore.engines.neuron.engine import Neuron
from replicore.models.shape import Model, ModelShape
from replicore.spec import EngineSpec

PYTHON = Path("/venv/bin/python")
MODEL_PATH = Path("/ubuntu/model_hf/Llama-3.3-70B-Instruct")
COMPILED_PATH = Path("/ubuntu/traced_model/Llama-3.3-70B-Instruct")

# Llama 3.3 70B
SHAPE = ModelShape(
    architecture="llama",
    layers=80,
    hidden=8192,
    heads=64,
    kv_heads=8,
    head_dim=128,
    vocab=128_256,
    max_model_len=131_072,
    weight_bytes=141_107_412_992,
    file_format="safetensors",
)
MODEL = Model(
    source="meta-llama/Llama-3.3-70B-Instruct",
    served_name="llama-3.3-70b",
    path=MODEL_PATH,
    shape=SHAPE,
    revision="6f6073b",
)

# What the tutorial's scripts say
TUTORIAL: Mapping[str, Any] = {
    "instance": "trn2.48xlarge",
    "lnc": 2,
    "kernels": ("qkv", "attn", "mlp"),
    "on_device_sampling": {"do_sample": True, "global_topk": 64, "dynamic": False},
    "pad_token_id": 2,
}


def plan(
    cores: str = "0-31",
    *,
    index: int = 0,
    batch_size: int = 4,
    max_model_len: int = 8192,
    model: Model = MODEL,
    port: int = 8000,
    first_port: int = 0,
    folder: Path | None = None,
    artefact: Path | None = None,
) -> ReplicaPlan:
    return ReplicaPlan(
        index=index,
        cores=CoreRange.parse(cores),
        batch_size=batch_size,
        max_model_len=max_model_len,
        model=model,
        host="127.0.0.1",
        port=port,
        replicas=2,
        folder=folder,
        first_port=first_port,
        artefact=artefact,
    )


def engine(
    *args: str,
    python: Path = PYTHON,
    env: dict[str, str] | None = None,
    cache: Path | None = None,
    **neuron: Any,
) -> Neuron:
    settings = {**TUTORIAL, **neuron}
    spec = EngineSpec.model_validate(
        {"kind": "neuron", "python": python, "args": args, "env": env or {}, "neuron": settings}
    )
    return Neuron(spec, cache=cache)


def options_of(words: Sequence[str]) -> dict[str, Any]:
    """Return each option with its values; JSON is read, so that spaces in it do not count."""
    options: dict[str, list[str]] = {}
    name = ""
    for word in words:
        if word.startswith("--"):
            name = word
            options[name] = []
        elif name:
            options[name].append(word)
    return {option: [_read(value) for value in values] for option, values in options.items()}


def _read(value: str) -> Any:
    return json.loads(value) if value.startswith("{") else value


def served_with(command: Command) -> dict[str, Any]:
    return options_of(command.argv[3:])
