"""Continuous batches: prompts are worked on beside decoding, out of one KV cache. Pure."""

from __future__ import annotations

from replicore.engines.sim.steptime import Part
from replicore.planner.simulate.job import Job
from replicore.planner.simulate.model import ReplicaModel
from replicore.planner.simulate.stepped import Stepped
from replicore.planner.simulate.stretch import Stretch, decode_stretch


class Continuous(Stepped):
    """As vLLM: a token of every request that decodes, and of the prompts what the budget allows."""

    def __init__(self, model: ReplicaModel) -> None:
        super().__init__(model)
        kv_tokens = model.kv_tokens
        self._kv_blocks = None if kv_tokens is None else kv_tokens // model.kv_block_tokens

    def _begin(self, at: float) -> None:
        self._make_room()
        decoding, steps = self._decoding, self.model.steps
        parts = self._take_prompts(self.model.token_budget - decoding.count, at)
        if parts:
            self.stretch = Stretch(at, steps.mixed(decoding.count, decoding.context, parts))
        elif decoding.count:
            self.stretch = decode_stretch(
                steps, at, decoding.count, decoding.context, self._most_steps()
            )
        else:
            self.stretch = None

    def _take_prompts(self, budget: int, at: float) -> list[Part]:
        """Take prompts in the order of admission; return their parts."""
        parts: list[Part] = []
        while budget > 0 and (self._prefilling or self._admits(at)):
            job, left = next(iter(self._prefilling.items()))
            part = min(left, budget)
            parts.append((part, job.tokens - left))
            budget -= part
            if part < left:
                self._prefilling[job] = left - part
                break
            del self._prefilling[job]
            self._ending.append(job)
        return parts

    def _admits(self, at: float) -> bool:
        """Give a slot to who waits first, if there is one and room for its prompt."""
        if not self._waiting or len(self._running) >= self.model.slots:
            return False
        if not self._has_room(self._waiting[0]):
            return False
        self._admit(self._waiting.popleft(), at)
        return True

    # KV cache

    def _has_room(self, job: Job) -> bool:
        if self._kv_blocks is None or not self._running:
            return True  # alone it has all of it, however long it is
        return self._blocks() + job.tokens // self.model.kv_block_tokens + 1 <= self._kv_blocks

    def _blocks(self, steps: int = 0) -> int:
        """Return the blocks of all requests once each has one token more, in so many steps."""
        block = self.model.kv_block_tokens
        waiting = [*self._prefilling, *self._ending]
        return self._decoding.blocks(steps) + sum(job.tokens // block + 1 for job in waiting)

    def _make_room(self) -> None:
        """Put requests back until all others have a block for their next token."""
        if self._kv_blocks is None:
            return
        while len(self._running) > 1 and self._blocks() > self._kv_blocks:
            job, _ = self._running.popitem()
            if self._prefilling.pop(job, None) is None:
                self._decoding.leave(job)
            self._waiting.appendleft(job)
            self.preemptions += 1

    def _most_steps(self) -> int:
        """Return how many steps there are until a request ends, or the KV cache is full."""
        most = self._decoding.steps_to_end()
        if self._kv_blocks is None or len(self._running) == 1:
            return most
        fits, full = 1, most + 1
        if self._blocks(most - 1) <= self._kv_blocks:
            return most
        while full - fits > 1:
            middle = (fits + full) // 2
            if self._blocks(middle - 1) <= self._kv_blocks:
                fits = middle
            else:
                full = middle
        return fits
