"""How many ranks vLLM can split a model into. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from replicore.models.shape import ModelShape


def tensor_parallel_degrees(shape: ModelShape, most: int) -> Iterator[int]:
    """Yield the degrees up to ``most``, ascending.

    Attention heads are dealt out evenly. So are key/value heads; where there are fewer of them
    than ranks, each is kept by as many ranks as there are to one head, a whole number.
    """
    for ranks in range(1, most + 1):
        more, fewer = max(ranks, shape.kv_heads), min(ranks, shape.kv_heads)
        if shape.heads % ranks == 0 and more % fewer == 0:
            yield ranks
