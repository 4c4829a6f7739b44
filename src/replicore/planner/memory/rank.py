"""What one rank of a replica holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RankMemory:
    """The memory of one core, or of one device, with one rank of a replica on it, in bytes.

    Attributes:
        capacity: Of the core or device.
        weights: Of the rank, with what it shares with no other rank.
        kv: Allocated for keys and values. Negative where the rest is too much by so many bytes.
        kv_per_token: What one token takes of it.
        activation: What a step works with.
        overhead: The runtime's: contexts, collectives, graphs, scratch.
    """

    capacity: int
    weights: int
    kv: int
    kv_per_token: int
    activation: int
    overhead: int

    @property
    def needed(self) -> int:
        """weights + kv + activation + overhead"""
        return self.weights + self.kv + self.activation + self.overhead

    @property
    def left(self) -> int:
        """capacity - needed; negative where it does not fit."""
        return self.capacity - self.needed

    @property
    def kv_tokens(self) -> int:
        """Tokens that the allocated KV cache holds."""
        return max(0, self.kv) // self.kv_per_token if self.kv_per_token > 0 else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a layout cannot run.

    Attributes:
        reason: One sentence for people, with the value that breaks it.
        short_bytes: What is missing on each rank; 0 where the cause is another.
        short_tokens: The same in tokens of KV cache.
    """

    reason: str
    short_bytes: int = 0
    short_tokens: int = 0
