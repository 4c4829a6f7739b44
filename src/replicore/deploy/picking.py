"""How a layout is picked where a spec leaves a choice. Pure.

An adviser is told what fits, and picks one of it. Layouts can so be tested without a planner;
``auto.py`` has the adviser of ``replicore up``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting:
    """The layouts that fit.

    Attributes:
        degrees: For each tp how many replicas there may be, at least one; tp ascending.
        replicas: The only number that is wanted; None for any up to those.
        batch_size: Slots of each replica.
        max_model_len: Tokens per slot.
    """

    degrees: Mapping[int, int]
    replicas: int | None
    batch_size: int
    max_model_len: int

    @property
    def only_one(self) -> bool:
        """Whether there is nothing to choose."""
        if len(self.degrees) > 1:
            return False
        return self.replicas is not None or max(self.degrees.values()) == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """What an adviser would take.

    Attributes:
        why: In words that go on from the pick, such as ``420 output tok/s``.
    """

    replicas: int
    tp: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoPick:
    """An adviser cannot tell."""

    why: str


class Adviser(Protocol):
    """Picks one of the layouts that fit, by what it expects of them."""

    def __call__(self, fitting: Fitting) -> Pick | NoPick: ...
