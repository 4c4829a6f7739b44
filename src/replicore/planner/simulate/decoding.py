"""The requests of a replica that get a token of every decode step. Pure.

What they have is a function of how many steps there were, so a step that nobody joins or leaves
changes three numbers, however many requests there are.
"""

from __future__ import annotations

from heapq import heappop, heappush

from replicore.planner.simulate.job import Job


class Decoding:
    """Who decodes.

    Attributes:
        count: Requests.
        context: Tokens that they attend to in the next step, together.
    """

    __slots__ = ("_block", "_ends", "_order", "_phases", "_steps", "context", "count")

    def __init__(self, block_tokens: int) -> None:
        self._block = block_tokens
        self._steps = 0
        # When each of them ends, and those that left before, which are skipped.
        self._ends: list[tuple[int, int, Job]] = []
        self._order = 0
        # How many have so many tokens in their last block at step 0, modulo a block.
        self._phases = [0] * block_tokens
        self.count = 0
        self.context = 0

    def join(self, job: Job) -> None:
        """Let a request decode from the next step on."""
        steps = self._steps
        job.is_decoding = True
        job.joined = steps
        job.finish = steps + job.left
        self._order += 1
        heappush(self._ends, (job.finish, self._order, job))
        self._phases[(job.tokens - steps) % self._block] += 1
        self.count += 1
        self.context += job.tokens

    def leave(self, job: Job) -> None:
        """Take a request out; its ``done`` is up to date then."""
        steps = self._steps
        job.is_decoding = False
        job.done += steps - job.joined
        self._phases[(job.tokens - steps) % self._block] -= 1
        self.count -= 1
        self.context -= job.tokens

    def passed(self, steps: int) -> None:
        """Count decode steps that are over."""
        self._steps += steps
        self.context += self.count * steps

    def ended(self) -> list[Job]:
        """Take out and return the requests that have all of their tokens."""
        ended = []
        while self._ends and self.steps_to_end() <= 0:
            job = heappop(self._ends)[2]
            self.leave(job)
            ended.append(job)
        return ended

    def steps_to_end(self) -> int:
        """Return after how many steps the next request ends; only where one decodes."""
        ends = self._ends
        while ends:
            finish, _, job = ends[0]
            if job.is_decoding and job.finish == finish:
                return finish - self._steps
            heappop(ends)
        return 1

    def blocks(self, steps: int) -> int:
        """Return the KV blocks with room for one token more each, in so many steps from now."""
        block = self._block
        shift = self._steps + steps
        in_last = sum(
            many * ((phase + shift) % block) for phase, many in enumerate(self._phases) if many
        )
        return (self.context + self.count * steps - in_last) // block + self.count
