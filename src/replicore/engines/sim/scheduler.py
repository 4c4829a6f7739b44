"""When each token comes, where no sequence slows another's steps: a state machine without a clock.

A sequence waits, is prefilled, decodes, and is gone::

    waiting ──(a slot is free)──> prefilling ──(first token)──> decoding ──(last token)──> gone
       └──────────────────────────────┴───────────cancel────────────┴───────────────────────┘

- *Slots*: ``slots`` sequences are prefilled or decoded at the same time; the rest wait, first come
  first served.
- *Prefill* is one lane: prompts are worked through one after the other, in the order of admission.
  Its end brings the first token.
- *Decode*: every further token follows the one before by a step with all sequences that decode in
  it, each from its own token on. Prefill does not slow decoding down.

This is the simplest engine, and the one without a profile; ``stepped.py`` has those whose work is
cut into steps.

Times are seconds on the caller's clock. A late call changes nothing: what was due is reckoned from
when it was due. So the times of all tokens follow from those of ``add`` and ``cancel`` alone.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import NamedTuple

from replicore.engines.sim.prefix_cache import PrefixCache, cached_tokens
from replicore.engines.sim.sequence import Delta, Sequence
from replicore.engines.sim.steptime import StepTime


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How fast the simulated engine is, in given numbers.

    Attributes:
        prefill_tokens_per_s: Of the whole engine.
        prefill_slope: How much longer a prompt token takes with each 1,000 tokens before it, as a
            share of the time of the first.
        decode_tokens_per_s: Of one sequence that decodes alone.
        decode_batch_slope: How much longer a step takes with each further sequence, as a share of
            a step; 0 for an engine that batches for free.
        decode_context_slope: How much longer a step takes with each 1,000 tokens that its sequences
            have in the KV cache, as a share of a step.
    """

    prefill_tokens_per_s: float = 20_000.0
    prefill_slope: float = 0.0
    decode_tokens_per_s: float = 200.0
    decode_batch_slope: float = 0.0
    decode_context_slope: float = 0.0

    def steps(self) -> StepTime:
        """Return the same as the terms of a step."""
        step, token = 1 / self.decode_tokens_per_s, 1 / self.prefill_tokens_per_s
        return StepTime(
            decode_s=step * (1 - self.decode_batch_slope),
            sequence_s=step * self.decode_batch_slope,
            context_token_s=step * self.decode_context_slope / 1000,
            prompt_token_s=token,
            prompt_pair_s=token * self.prefill_slope / 1000,
        )


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


# When, a number, and what: of those due at the same time, first scheduled is first emitted.
_Due = tuple[float, int, Sequence]


class Scheduler:
    """Sequences in, emissions out. Call :meth:`advance` at :attr:`next_at`, or later."""

    # Nobody is ever put back to wait.
    preemptions = 0

    def __init__(self, time: StepTime, *, slots: int, cache: PrefixCache | None = None) -> None:
        self._time = time
        self._slots = slots
        self._cache = cache
        # Dictionaries as ordered sets: cancelling any sequence takes constant time.
        self._waiting: dict[Sequence, None] = {}
        self._prefilling: dict[Sequence, None] = {}
        self._running: dict[Sequence, None] = {}
        self._context = 0  # tokens of all sequences that decode
        # What is due, in two parts. Decode steps are mostly scheduled in the order in which they
        # are due, and of thousands a queue costs much less than a heap; the others are in the heap.
        self._queue: deque[_Due] = deque()
        self._heap: list[_Due] = []
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
        return min((part[0][0] for part in (self._queue, self._heap) if part), default=None)

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

    def advance(self, now: float, *, most: int | None = None) -> list[Emission]:
        """Return what became due up to ``now``, in the order in which it did.

        Args:
            most: Return so many at most; the others stay due.
        """
        emissions: list[Emission] = []
        queue, heap = self._queue, self._heap
        while len(emissions) != most:
            if queue and (not heap or queue[0] < heap[0]):
                if queue[0][0] > now:
                    break
                at, _, sequence = queue.popleft()
            elif heap and heap[0][0] <= now:
                at, _, sequence = heappop(heap)
            else:
                break
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
        cached = sequence.cached_tokens = cached_tokens(self._cache, sequence)
        # A slot that became free while the caller was late is not older than who gets it.
        start = max(now, sequence.arrived_at)
        seconds = self._time.prefill(sequence.prompt_tokens - cached, cached)
        heappush(self._heap, self._due(start + seconds, sequence))

    def _step(self, sequence: Sequence, at: float) -> Emission:
        first = sequence in self._prefilling
        if first:
            self._end_prefill(sequence, at)
        delta = sequence.decode()
        self._context += len(delta.ids)
        if delta.finish is not None:
            self._release(sequence, at)
        elif not sequence.stalled:
            decoding = len(self._running) - len(self._prefilling)
            self._push(at + self._time.decode(decoding, self._context), sequence)
        gap = at - sequence.last_at
        sequence.last_at = at
        return Emission(sequence, at, gap, first, delta)

    def _end_prefill(self, sequence: Sequence, now: float) -> None:
        self._context += sequence.tokens
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
        else:
            self._context -= sequence.tokens
            if self._cache is not None:
                self._cache.insert(sequence.blocks)
        self._admit(now)

    def _push(self, at: float, sequence: Sequence) -> None:
        if self._queue and at < self._queue[-1][0]:
            heappush(self._heap, self._due(at, sequence))
        else:
            self._queue.append(self._due(at, sequence))

    def _due(self, at: float, sequence: Sequence) -> _Due:
        self._count += 1
        return at, self._count, sequence
