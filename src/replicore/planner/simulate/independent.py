"""A replica where no request slows another's step by coming in the middle of it. Pure.

The rules are those of ``engines/sim/scheduler.py``: prompts are worked through one after the other,
each request has steps of its own, and a step is as long as the number of those that decode makes it
when it begins. Between two changes of that number all steps are as long, so what happens then is
one event. Where the length grows with the context, it is that of the middle of at most
``CHUNK`` steps.
"""

from __future__ import annotations

from collections import deque
from math import inf

from replicore.planner.simulate.job import Job
from replicore.planner.simulate.model import ReplicaModel
from replicore.planner.simulate.stretch import Stretch

CHUNK = 16


class Independent:
    """One replica; call :meth:`advance` at :attr:`next_at`.

    The attributes are those of ``stepped.Stepped``.
    """

    def __init__(self, model: ReplicaModel) -> None:
        self.model = model
        self.preemptions = 0
        self.busy_s = 0.0
        self.tokens_out = 0
        self.prompt_tokens = 0
        self.left_tokens = 0
        self.stretch: Stretch | None = None
        self._at = 0.0
        self._next_at = inf
        self._waiting: deque[Job] = deque()
        self._lane: deque[Job] = deque()
        self._lane_end = inf
        # When the next token of each request that decodes is due.
        self._due: dict[Job, float] = {}
        self._context = 0
        self._step_s = 0.0

    @property
    def next_at(self) -> float:
        """When something changes; infinity where nothing is worked on."""
        return self._next_at

    @property
    def decoding(self) -> int:
        """Requests that decode."""
        return len(self._due)

    def add(self, job: Job, now: float) -> None:
        """Take a request in."""
        job.owed = job.tokens
        self.prompt_tokens += job.tokens
        self.left_tokens += job.left
        self._waiting.append(job)
        if len(self._lane) + len(self._due) < self.model.slots:
            self._pass(now)
            self._admit(now)
            self._plan(now)

    def advance(self) -> list[Job]:
        """Go to the next change; return the requests that ended."""
        at = self._next_at
        self._pass(at)
        ended = self._end(at)
        if self._lane and self._lane_end <= at:
            job = self._lane.popleft()
            self._end_prompt(job, at)
            if not job.left:
                ended.append(job)
            self._start_prefill(at)
        for job in ended:
            job.end_s = at
        self._admit(at)
        self._plan(at)
        return ended

    def drain(self, now: float) -> list[Job]:
        """Fail: return all requests, with the tokens that they have, oldest first."""
        self._pass(now)
        jobs = sorted([*self._lane, *self._due, *self._waiting], key=lambda job: job.index)
        for queue in (self._lane, self._due, self._waiting):
            queue.clear()
        self._context = self.prompt_tokens = self.left_tokens = 0
        self._lane_end = inf
        self._plan(now)
        return jobs

    def _pass(self, at: float) -> None:
        """Hand out the tokens that are due, but for the last one of each request."""
        if self._lane or self._due:
            self.busy_s += at - self._at
        self._at = at
        step_s = self._step_s
        for job, due in self._due.items():
            if due > at or job.left == 1:
                continue
            tokens = min(job.left - 1, 1 + int((at - due) / step_s)) if step_s else job.left - 1
            self._hand_out(job, tokens)
            self._due[job] = due + tokens * step_s

    def _hand_out(self, job: Job, tokens: int) -> None:
        job.done += tokens
        self.left_tokens -= tokens
        self.tokens_out += tokens
        self._context += tokens

    def _end(self, at: float) -> list[Job]:
        """Hand out the last tokens that are due; return the requests that had one."""
        ended = [job for job, due in self._due.items() if due <= at and job.left == 1]
        for job in ended:
            self._hand_out(job, 1)
            self._context -= job.tokens
            del self._due[job]
        return ended

    def _end_prompt(self, job: Job, at: float) -> None:
        job.done += 1
        self.left_tokens -= 1
        self.tokens_out += 1
        self.prompt_tokens -= job.owed
        job.owed = 0
        if job.first_s is None:
            job.first_s = at
        if job.left:
            self._context += job.tokens
            # Its first step begins now, with itself among those that decode.
            self._due[job] = at + self._step_of(len(self._due) + 1)

    def _admit(self, at: float) -> None:
        while self._waiting and len(self._lane) + len(self._due) < self.model.slots:
            job = self._waiting.popleft()
            if job.started_s is None:
                job.started_s = at
            self._lane.append(job)
            if len(self._lane) == 1:
                self._start_prefill(at)

    def _start_prefill(self, at: float) -> None:
        self._lane_end = inf
        if self._lane:
            self._lane_end = at + self.model.steps.prefill(self._lane[0].tokens, 0)

    def _step_of(self, count: int, ahead: int = 0) -> float:
        return self.model.steps.decode(count, self._context + count * ahead)

    def _plan(self, at: float) -> None:
        """Set how long steps are from now on, and when that changes."""
        count = len(self._due)
        self.stretch = None
        self._next_at = self._lane_end
        if not count:
            return
        ahead = min(CHUNK, *(job.left for job in self._due))
        self._step_s = step_s = self._step_of(count, ahead // 2)
        ends = min(due + (job.left - 1) * step_s for job, due in self._due.items())
        if self._step_of(count) != self._step_of(count, CHUNK):
            ends = min(ends, max(at, *self._due.values()) + CHUNK * step_s)
        self._next_at = max(at, min(self._lane_end, ends))
        self.stretch = Stretch(at, step_s, count=max(1, self.left_tokens))
