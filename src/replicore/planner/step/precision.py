"""In how many bytes weights, KV cache and arithmetic are kept. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """How a replica keeps its numbers.

    Attributes:
        weight_bytes: Of one parameter of the matrices, scales counted; None: as the model's files
            have them.
        kv_bytes: Of a key or a value in the KV cache.
        compute_bits: Of the arithmetic: 16, 8 or 4.
    """

    weight_bytes: float | None = None
    kv_bytes: float = 2.0
    compute_bits: int = 16
