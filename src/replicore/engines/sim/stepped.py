"""When each token comes, of an engine that works in steps. Pure: a state machine without a clock.

All that runs is in the step: a step takes as long as what is in it (see ``steptime.py``), and its
tokens come together at its end. Two ways to fill one:

- *Continuous*, as vLLM: a token of every sequence that decodes, and as much of the prompts as the
  token budget leaves room for. The KV cache has so many blocks; a prompt waits until there are
  enough for it, and where a sequence that decodes finds none, the one that was taken last is put
  back to the front of the queue and does its prefill anew.
- *Static*, as the compiled models of Neuron: a prompt on its own, as long as one waits and a slot
  is free, and nobody decodes meanwhile; otherwise a token of every sequence.

Times are seconds on the caller's clock. As in ``scheduler.py`` they follow from those of ``add``
and ``cancel`` alone, however late the calls are.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from replicore.engines.sim.model import BLOCK_TOKENS
from replicore.engines.sim.prefix_cache import PrefixCache, cached_tokens
from replicore.engines.sim.scheduler import Emission
from replicore.engines.sim.sequence import Sequence
from replicore.engines.sim.steptime import Part, StepTime

# vLLM's max_num_batched_tokens for a server.
TOKEN_BUDGET = 8192


@dataclass(frozen=True, slots=True)
class _Step:
    """What is being worked on.

    Attributes:
        tokens: The sequences that get a token at its end, in their order.
    """

    end: float
    tokens: list[Sequence]


class SteppedScheduler:
    """Sequences in, emissions out. Call :meth:`advance` at :attr:`next_at`, or later.

    Args:
        static: Whether prompts have steps of their own.
        kv_blocks: Of the KV cache; None where every slot has all that it may need.
    """

    def __init__(
        self,
        time: StepTime,
        *,
        slots: int,
        static: bool,
        kv_blocks: int | None = None,
        cache: PrefixCache | None = None,
    ) -> None:
        self._time = time
        self._slots = slots
        self._static = static
        self._kv_blocks = kv_blocks
        self._cache = cache
        self._waiting: OrderedDict[Sequence, None] = OrderedDict()
        self._running: dict[Sequence, None] = {}
        # Tokens of each sequence in prefill that are yet to be worked through.
        self._prefilling: dict[Sequence, int] = {}
        self._step: _Step | None = None
        self.preemptions = 0

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
        """When the step ends; None where nothing is worked on."""
        return self._step.end if self._step is not None else None

    def add(self, sequence: Sequence, now: float) -> None:
        sequence.arrived_at = sequence.last_at = now
        self._waiting[sequence] = None
        if self._step is None:
            self._start(now)

    def cancel(self, sequence: Sequence, now: float) -> None:
        """Take a sequence out, in whatever state; the step that it is in takes its time."""
        self._waiting.pop(sequence, None)
        if sequence in self._running:
            self._release(sequence)
        if self._step is None:
            self._start(now)

    def advance(self, now: float, *, most: int | None = None) -> list[Emission]:
        """Return what became due up to ``now``, in the order in which it did.

        Args:
            most: After so many emissions the step that is worked on is the last one.
        """
        emissions: list[Emission] = []
        while self._step is not None and self._step.end <= now:
            if most is not None and len(emissions) >= most:
                break
            step, self._step = self._step, None
            emissions += self._finish(step)
            self._start(step.end)
        return emissions

    # the end of a step

    def _finish(self, step: _Step) -> list[Emission]:
        emissions: list[Emission] = []
        at, running = step.end, self._running
        for sequence in step.tokens:
            if sequence not in running:
                continue  # cancelled
            first = not sequence.output_tokens
            delta = sequence.decode()
            if delta.finish is not None:
                self._release(sequence)
            emissions.append(Emission(sequence, at, at - sequence.last_at, first, delta))
            sequence.last_at = at
        return emissions

    def _release(self, sequence: Sequence) -> None:
        del self._running[sequence]
        unfinished = self._prefilling.pop(sequence, None)
        if self._cache is not None and unfinished is None:
            self._cache.insert(sequence.blocks)

    # the beginning of a step

    def _start(self, at: float) -> None:
        """Begin the next step at ``at``, or when the next sequence comes; none where none can."""
        if self._begin(at) or not self._waiting:
            return
        # Whoever is first may have come after the step that just ended, if the caller was late.
        arrived = next(iter(self._waiting)).arrived_at
        if arrived > at:
            self._begin(arrived)

    def _begin(self, at: float) -> bool:
        return self._begin_static(at) if self._static else self._begin_continuous(at)

    def _begin_static(self, at: float) -> bool:
        if self._admit(at):
            sequence, tokens = self._prefilling.popitem()
            self._step = _Step(at + self._prefill_alone(sequence, tokens), [sequence])
            return True
        decoding = self._decoding()
        if decoding:
            seconds = self._time.decode(len(decoding), self._context(decoding))
            self._step = _Step(at + seconds, decoding)
        return bool(decoding)

    def _prefill_alone(self, sequence: Sequence, tokens: int) -> float:
        self._remember(sequence)
        return self._time.prefill(tokens, sequence.tokens - tokens)

    def _begin_continuous(self, at: float) -> bool:
        self._make_room()
        decoding = self._decoding()
        parts, ended = self._take_prompts(TOKEN_BUDGET - len(decoding), at)
        if not decoding and not parts:
            return False
        seconds = self._time.mixed(len(decoding), self._context(decoding), parts)
        self._step = _Step(at + seconds, decoding + ended)
        return True

    def _context(self, decoding: list[Sequence]) -> int:
        counts = self._time.context_token_s > 0  # a sum over thousands of sequences
        return sum(each.tokens for each in decoding) if counts else 0

    def _decoding(self) -> list[Sequence]:
        prefilling = self._prefilling
        return [each for each in self._running if each not in prefilling and not each.stalled]

    def _take_prompts(self, budget: int, at: float) -> tuple[list[Part], list[Sequence]]:
        """Take prompts in the order of admission; return their parts, and which are whole then."""
        parts: list[Part] = []
        ended = []
        while budget > 0:
            if not self._prefilling and not self._admit(at):
                break
            sequence, left = next(iter(self._prefilling.items()))
            part = min(left, budget)
            parts.append((part, sequence.tokens - left))
            budget -= part
            if part < left:
                self._prefilling[sequence] = left - part
                break
            del self._prefilling[sequence]
            self._remember(sequence)
            ended.append(sequence)
        return parts, ended

    def _remember(self, sequence: Sequence) -> None:
        if self._cache is not None:
            self._cache.insert(sequence.blocks)

    def _admit(self, at: float) -> bool:
        """Give a slot to who waits first, if there is one and room for its prompt."""
        if not self._waiting or len(self._running) >= self._slots:
            return False
        sequence = next(iter(self._waiting))
        if sequence.arrived_at > at or not self._has_room(sequence):
            return False
        del self._waiting[sequence]
        self._running[sequence] = None
        cached = cached_tokens(self._cache, sequence)
        if not sequence.output_tokens:
            sequence.cached_tokens = cached
        self._prefilling[sequence] = sequence.tokens - cached
        return True

    # KV cache

    def _has_room(self, sequence: Sequence) -> bool:
        if self._kv_blocks is None or not self._running:
            return True  # alone it has all of it, however long it is
        return _blocks_after([*self._running, sequence]) <= self._kv_blocks

    def _make_room(self) -> None:
        """Put sequences back until all others have a block for their next token."""
        if self._kv_blocks is None:
            return
        while len(self._running) > 1 and _blocks_after(self._running) > self._kv_blocks:
            sequence, _ = self._running.popitem()
            self._prefilling.pop(sequence, None)
            self._waiting[sequence] = None
            self._waiting.move_to_end(sequence, last=False)
            self.preemptions += 1


def _blocks_after(sequences: Iterable[Sequence]) -> int:
    """Return the blocks of all sequences once each has one token more."""
    return sum(sequence.tokens // BLOCK_TOKENS + 1 for sequence in sequences)
