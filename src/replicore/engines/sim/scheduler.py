"""When each token comes: continuous batching, as a state machine without a clock.

A sequence waits, is prefilled, decodes, and is gone::

    waiting ──(a slot is free)──> prefilling ──(first token)──> decoding ──(last token)──> gone
       └──────────────────────────────┴───────────cancel────────────┴───────────────────────┘

- *Slots*: ``slots`` sequences are prefilled or decoded at the same time; the rest wait, first come
  first served.
- *Prefill* is one lane: prompts are worked through one after the other, in the order of admission,
  each for uncached tokens / ``prefill_tokens_per_s`` seconds. Its end brings the first token.
- *Decode*: every further token follows the one before by ``1 / decode_tokens_per_s`` seconds, times
  ``1 + decode_batch_slope * (decoding sequences - 1)``. Prefill does not slow decoding down.

Times are seconds on the caller's clock. A late call changes nothing: what was due is reckoned from
when it was due. So the times of all tokens follow from those of ``add`` and ``cancel`` alone.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import NamedTuple

from replicore.engines.sim.model import BLOCK_TOKENS
from replicore.engines.sim.prefix_cache import PrefixCache
from replicore.engines.sim.sequence import Delta, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How fast the simulated engine is.

    Attributes:
        prefill_tokens_per_s: Of the whole engine.
        decode_tokens_per_s: Of one sequence that decodes alone.
        decode_batch_slope: How much longer a step takes with each further sequence, as a share of
            a step; 0 for an engine that batches for free.
    """

    prefill_tokens_per_s: float = 20_000.0
    decode_tokens_per_s: float = 200.0
    decode_batch_slope: float = 0.0


class Emission(NamedTuple):
    """One decode step of one sequence.

    Attributes:
        at: When it was due.
        gap: Seconds since the sequence's token before, or since its arrival for the first one.
        first: Whether this step ended the prefill.
    """

    sequence: Sequence
    at: float
    gap: float
    first: bool
    delta: Delta


class Scheduler:
    """Sequences in, emissions out. Call :meth:`advance` at :attr:`next_at`, or later."""

    def __init__(self, timing: Timing, *, slots: int, cache: PrefixCache | None = None) -> None:
        self._timing = timing
        self._slots = slots
        self._cache = cache
        # Dictionaries as ordered sets: cancelling any sequence takes constant time.
        self._waiting: dict[Sequence, None] = {}
        self._prefilling: dict[Sequence, None] = {}
        self._running: dict[Sequence, None] = {}
        self._due: list[tuple[float, int, Sequence]] = []
        self._count = 0

    @property
    def waiting(self) -> int:
        """Sequences without a slot."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Sequences with a slot."""
        return len(self._running)

    @property
    def cache_blocks(self) -> int:
        """KV cache blocks of all sequences with a slot."""
        return sum(sequence.cache_blocks for sequence in self._running)

    @property
    def next_at(self) -> float | None:
        """When the next token is due; None where nothing is."""
        return self._due[0][0] if self._due else None

    def add(self, sequence: Sequence, now: float) -> None:
        sequence.arrived_at = sequence.last_at = now
        self._waiting[sequence] = None
        self._admit(now)

    def cancel(self, sequence: Sequence, now: float) -> None:
        """Take a sequence out, in whatever state; its slot is free at once."""
        if sequence in self._waiting:
            del self._waiting[sequence]
        elif sequence in self._running:
            self._release(sequence, now)

    def advance(self, now: float) -> list[Emission]:
        """Return what became due up to ``now``, in the order in which it did."""
        emissions = []
        while self._due and self._due[0][0] <= now:
            at, _, sequence = heapq.heappop(self._due)
            if sequence in self._running:
                emissions.append(self._step(sequence, at))
        return emissions

    def _admit(self, now: float) -> None:
        while self._waiting and len(self._running) < self._slots:
            sequence = next(iter(self._waiting))
            del self._waiting[sequence]
            self._running[sequence] = None
            self._prefilling[sequence] = None
            if len(self._prefilling) == 1:
                self._start_prefill(now)

    def _start_prefill(self, now: float) -> None:
        sequence = next(iter(self._prefilling))
        sequence.cached_tokens = self._cached_tokens(sequence)
        uncached = sequence.prompt_tokens - sequence.cached_tokens
        # A slot that became free while the caller was late is not older than who gets it.
        start = max(now, sequence.arrived_at)
        self._push(start + uncached / self._timing.prefill_tokens_per_s, sequence)

    def _cached_tokens(self, sequence: Sequence) -> int:
        if self._cache is None:
            return 0
        # As in vLLM, the last prompt token is always computed: its output is the first token.
        usable = (sequence.prompt_tokens - 1) // BLOCK_TOKENS
        return self._cache.match(sequence.blocks[:usable]) * BLOCK_TOKENS

    def _step(self, sequence: Sequence, at: float) -> Emission:
        first = sequence in self._prefilling
        if first:
            self._end_prefill(sequence, at)
        delta = sequence.decode()
        if delta.finish is not None:
            self._release(sequence, at)
        elif not sequence.stalled:
            self._push(at + self._step_seconds(), sequence)
        gap = at - sequence.last_at
        sequence.last_at = at
        return Emission(sequence, at, gap, first, delta)

    def _end_prefill(self, sequence: Sequence, now: float) -> None:
        if self._cache is not None:
            self._cache.insert(sequence.blocks)
        self._leave_lane(sequence, now)

    def _leave_lane(self, sequence: Sequence, now: float) -> None:
        is_head = sequence is next(iter(self._prefilling))
        del self._prefilling[sequence]
        if is_head and self._prefilling:
            self._start_prefill(now)

    def _release(self, sequence: Sequence, now: float) -> None:
        del self._running[sequence]
        if sequence in self._prefilling:
            self._leave_lane(sequence, now)
        elif self._cache is not None:
            self._cache.insert(sequence.blocks)
        self._admit(now)

    def _step_seconds(self) -> float:
        decoding = len(self._running) - len(self._prefilling)
        stretch = 1 + self._timing.decode_batch_slope * (decoding - 1)
        return stretch / self._timing.decode_tokens_per_s

    def _push(self, at: float, sequence: Sequence) -> None:
        # The count orders what is due at the same time: first scheduled, first emitted.
        self._count += 1
        heapq.heappush(self._due, (at, self._count, sequence))
