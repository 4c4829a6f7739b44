"""A model and a replica of it, as the tests of the vLLM engine plan it."""

from __future__ import annotations

from pathlib import Path

from replicore.cores import CoreRange
from replicore.engines.engine import ReplicaPlan
from replicore.models.shape import Model, ModelShape

# Llama 3.1 8B
SHAPE = ModelShape(
    architecture="llama",
    layers=32,
    hidden=4096,
    heads=32,
    kv_heads=8,
    head_dim=128,
    vocab=128_256,
    max_model_len=131_072,
    weight_bytes=16_060_522_496,
    file_format="safetensors",
)
MODEL = Model(
    source="org/llama", served_name="llama", path=Path("/models/llama"), shape=SHAPE, revision="abc"
)


def plan(
    cores: str = "4-5",
    *,
    folder: Path | None = None,
    artefact: Path | None = None,
    first_port: int = 0,
    port: int = 40_001,
) -> ReplicaPlan:
    return ReplicaPlan(
        index=1,
        cores=CoreRange.parse(cores),
        batch_size=8,
        max_model_len=2048,
        model=MODEL,
        host="127.0.0.1",
        port=port,
        replicas=2,
        folder=folder,
        artefact=artefact,
        first_port=first_port,
    )
