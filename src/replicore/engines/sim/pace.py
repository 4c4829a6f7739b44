"""From the options to who says when each token comes. Pure."""

from __future__ import annotations

from typing import Protocol

from replicore.engines.sim.model import BLOCK_TOKENS
from replicore.engines.sim.options import SimOptions
from replicore.engines.sim.prefix_cache import PrefixCache
from replicore.engines.sim.profiles import PROFILES, kv_capacity, step_time
from replicore.engines.sim.scheduler import Emission, Scheduler
from replicore.engines.sim.sequence import Sequence
from replicore.engines.sim.shapes import parse_shape
from replicore.engines.sim.stepped import SteppedScheduler
from replicore.engines.sim.steptime import StepTime


class Pace(Protocol):
    """A state machine without a clock: sequences in, emissions out.

    Attributes:
        preemptions: How often a sequence has lost its slot, for want of KV cache.
    """

    preemptions: int

    @property
    def waiting(self) -> int: ...

    @property
    def running(self) -> int: ...

    @property
    def cache_blocks(self) -> int: ...

    @property
    def next_at(self) -> float | None: ...

    def add(self, sequence: Sequence, now: float) -> None: ...

    def cancel(self, sequence: Sequence, now: float) -> None: ...

    def advance(self, now: float, *, most: int | None = None) -> list[Emission]: ...


def create_pace(options: SimOptions) -> Pace:
    """Return the scheduler that the options ask for."""
    time = time_of_steps(options).faster(options.speed)
    batching = options.batches
    # A compiled batch keeps each slot's KV cache apart.
    has_cache = options.prefix_cache and batching != "static"
    cache = PrefixCache(cache_blocks(options)) if has_cache else None
    if batching == "independent":
        return Scheduler(time, slots=options.slots, cache=cache)
    return SteppedScheduler(
        time,
        slots=options.slots,
        static=batching == "static",
        kv_blocks=cache_blocks(options) if batching == "continuous" else None,
        cache=cache,
    )


def time_of_steps(options: SimOptions) -> StepTime:
    """Return the steps in life, whatever the speed."""
    if options.profile is None:
        return options.timing.steps()
    return step_time(
        PROFILES[options.profile],
        parse_shape(options.shape),
        tp=options.tp,
        batch_size=options.slots,
        max_model_len=options.max_model_len,
    )


def cache_blocks(options: SimOptions) -> int:
    """Return the blocks of the KV cache."""
    tokens = options.kv_tokens
    if tokens is None and options.profile is not None and options.batches == "continuous":
        tokens = kv_capacity(PROFILES[options.profile], parse_shape(options.shape), tp=options.tp)
    if tokens is None:
        return options.slots * -(-options.max_model_len // BLOCK_TOKENS)
    return max(1, tokens // BLOCK_TOKENS)
