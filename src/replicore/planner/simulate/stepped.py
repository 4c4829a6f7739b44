"""A replica whose requests share its steps, whatever fills one. Pure.

The rules are those of the live simulator, ``engines/sim/stepped.py``: a step takes as long as what
is in it, its tokens come together at its end, and what arrives while it runs waits for its end. But
decode steps that nobody joins or leaves are one event here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from math import inf

from replicore.planner.simulate.decoding import Decoding
from replicore.planner.simulate.job import Job
from replicore.planner.simulate.model import ReplicaModel
from replicore.planner.simulate.stretch import Stretch


class Stepped(ABC):
    """One replica; call :meth:`advance` at :attr:`next_at`.

    Attributes:
        busy_s: Time that it worked.
        preemptions: Requests put back for lack of KV cache.
        tokens_out: Output tokens that came of it.
        prompt_tokens: Of its requests, of prompts whose first token has not come.
        left_tokens: Of its requests, output tokens to come; both as the stretch began.
        stretch: The steps that are worked on; None for none.
    """

    def __init__(self, model: ReplicaModel) -> None:
        self.model = model
        self.busy_s = 0.0
        self.preemptions = 0
        self.tokens_out = 0
        self.prompt_tokens = 0
        self.left_tokens = 0
        self.stretch: Stretch | None = None
        self._waiting: deque[Job] = deque()
        # In the order of admission.
        self._running: dict[Job, None] = {}
        # Tokens that are yet to be worked through, of each request in prefill.
        self._prefilling: dict[Job, int] = {}
        self._decoding = Decoding(model.kv_block_tokens)
        # What the stretch does: whose prompt it ends, and whether the others decode meanwhile.
        self._ending: list[Job] = []
        self._decodes = True

    @property
    def next_at(self) -> float:
        """When the stretch ends; infinity where nothing is worked on."""
        return self.stretch.end if self.stretch is not None else inf

    @property
    def decoding(self) -> int:
        """Requests that get a token of every step of the stretch."""
        return self._decoding.count if self._decodes else 0

    def add(self, job: Job, now: float) -> None:
        """Take a request in."""
        job.owed = job.tokens
        self.prompt_tokens += job.tokens
        self.left_tokens += job.left
        self._waiting.append(job)
        if self.stretch is None:
            self._begin(now)
        elif len(self._waiting) == 1 and len(self._running) < self.model.slots:
            self.stretch.cut(now)

    def advance(self) -> list[Job]:
        """End the stretch and begin the next one; return the requests that ended."""
        stretch = self.stretch
        if stretch is None:
            return []
        self.busy_s += stretch.end - stretch.start
        ended = self._pass(stretch.count)
        for job in self._ending:
            self._end_prompt(job, stretch.end)
            if job.left:
                self._decoding.join(job)
            else:
                ended.append(job)
        self._ending = []
        for job in ended:
            del self._running[job]
            job.end_s = stretch.end
        self._begin(stretch.end)
        return ended

    def drain(self, now: float) -> list[Job]:
        """Fail: return all requests, with the tokens of the steps that ended, oldest first."""
        if self.stretch is not None:
            self.busy_s += now - self.stretch.start
            self._pass(self.stretch.done(now))
        for job in self._running:
            if job.is_decoding:
                self._decoding.leave(job)
        jobs = sorted([*self._running, *self._waiting], key=lambda job: job.index)
        self._waiting.clear()
        self._running.clear()
        self._prefilling.clear()
        self._ending = []
        self._decoding = Decoding(self.model.kv_block_tokens)
        self.prompt_tokens = self.left_tokens = 0
        self.stretch = None
        return jobs

    @abstractmethod
    def _begin(self, at: float) -> None:
        """Set the next stretch, or None."""

    def _pass(self, steps: int) -> list[Job]:
        """Count steps; return the requests that ended decoding with the last of them."""
        if not self._decodes:
            return []
        self.left_tokens -= self._decoding.count * steps
        self.tokens_out += self._decoding.count * steps
        self._decoding.passed(steps)
        return self._decoding.ended()

    def _end_prompt(self, job: Job, at: float) -> None:
        job.done += 1
        self.left_tokens -= 1
        self.tokens_out += 1
        self.prompt_tokens -= job.owed
        job.owed = 0
        if job.first_s is None:
            job.first_s = at

    def _admit(self, job: Job, at: float) -> None:
        """Give a slot to a request that has been taken off the queue."""
        self._running[job] = None
        self._prefilling[job] = job.tokens
        if job.started_s is None:
            job.started_s = at
