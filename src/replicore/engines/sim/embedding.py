"""Embeddings with no meaning: vectors that are a function of the tokens alone. Pure."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable
from hashlib import shake_128
from math import sqrt

import msgspec

from replicore.engines.sim.bodies import Embedding


def embedding(ids: Iterable[int], *, dimensions: int) -> list[float]:
    """Return a vector of length 1, ``(dimensions,)``."""
    digest = shake_128(",".join(map(str, ids)).encode()).digest(dimensions)
    values = [byte - 127.5 for byte in digest]
    length = sqrt(sum(value * value for value in values))
    return [value / length for value in values]


def embeddings_body(request: Embedding, *, model: str) -> bytes:
    """Return the body that answers ``request``."""
    vectors = [embedding(prompt, dimensions=request.dimensions) for prompt in request.prompts]
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": _packed(vector) if request.base64 else vector,
        }
        for index, vector in enumerate(vectors)
    ]
    tokens = sum(map(len, request.prompts))
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return msgspec.json.encode({"object": "list", "data": data, "model": model, "usage": usage})


def _packed(vector: list[float]) -> str:
    """Return OpenAI's ``base64`` form: little-endian 32-bit floats."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
