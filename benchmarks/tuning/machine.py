"""The simulator's own steps as a machine: what each layout would be measured at, by formula.

Requests of a run are all alike and each slot always has one. With a static batch the B requests of
a replica begin together: B prompts one after the other, then O - 1 decode steps. With continuous
batching they are spread evenly, so that each decode step has B / O prompts in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from replicore.bench.stats.summary import Rate
from replicore.bench.sweep.entries import Latencies, Run
from replicore.engines.sim.profiles import PROFILES, Profile, kv_capacity, step_time
from replicore.engines.sim.steptime import StepTime
from replicore.models.shape import ModelShape
from replicore.planner.plan import Outcome

# Standard deviation, as a share, of what one run differs from the next.
NOISE = 0.02

# As many as an integration test's load client would send.
_ROUNDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What a layout does.

    Attributes:
        ttft_s: Of the B requests of a replica, shape (B,); ``tpot_s`` likewise.
    """

    tokens_per_s: float
    ttft_s: tuple[float, ...]
    tpot_s: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedMachine:
    """A profile of the simulator with a model and a workload."""

    profile: str
    shape: ModelShape
    input_tokens: int
    output_tokens: int
    max_model_len: int

    def truth(self, outcome: Outcome) -> Truth:
        profile, slots = PROFILES[self.profile], outcome.batch_size
        times = step_time(
            profile,
            self.shape,
            tp=outcome.tp,
            batch_size=slots,
            max_model_len=self.max_model_len,
        )
        if profile.batching == "static":
            one = self._static(times, slots)
        else:
            one = self._continuous(times, slots, self._held(profile, outcome.tp, slots))
        return replace(one, tokens_per_s=outcome.replicas * one.tokens_per_s)

    def _static(self, times: StepTime, slots: int) -> Truth:
        prompt = times.prefill(self.input_tokens)
        steps = self.output_tokens - 1
        decode = steps * times.decode(slots, 0)
        return Truth(
            tokens_per_s=slots * self.output_tokens / (slots * prompt + decode),
            ttft_s=tuple((index + 1) * prompt for index in range(slots)),
            tpot_s=tuple((decode + (slots - 1 - i) * prompt) / steps for i in range(slots)),
        )

    def _held(self, profile: Profile, tp: int, slots: int) -> float:
        """Return how many requests of those in slots the KV cache has room for at a time."""
        room = kv_capacity(profile, self.shape, tp=tp)
        if room is None:
            return slots
        return min(slots, max(1.0, room / (self.input_tokens + self.output_tokens / 2)))

    def _continuous(self, times: StepTime, slots: int, held: float) -> Truth:
        """Return what ``held`` of the requests do at a time, while the others wait."""
        prompt = times.prompt(self.input_tokens)
        context = held * (self.input_tokens + self.output_tokens / 2)
        decode = times.decode(round(held), round(context))
        tpot = decode + (held - 1) / self.output_tokens * prompt
        # Half a step until the next one begins, and that one with the prompt in it.
        ttft = 1.5 * decode + prompt
        whole = ttft + tpot * (self.output_tokens - 1)
        waiting = (slots / held - 1) * whole
        return Truth(
            tokens_per_s=held * self.output_tokens / whole,
            ttft_s=(waiting + ttft,) * slots,
            tpot_s=(tpot,) * slots,
        )


def measured(truth: Truth, outcome: Outcome, random: Random) -> Run:
    """Return a run as a journal has it, off by what runs differ."""
    off = random.lognormvariate(0.0, NOISE)
    ttft, tpot = (_spread(times, off) for times in (truth.ttft_s, truth.tpot_s))
    rate = Rate(value=truth.tokens_per_s / off)
    return Run(
        layout=outcome.size,
        concurrency=outcome.replicas * outcome.batch_size,
        repeat=0,
        seed=0,
        slots=outcome.replicas * outcome.batch_size,
        cores=(),
        ready_s=0.0,
        started_at="",
        duration_s=0.0,
        file="",
        simulated=True,
        verdict="VALID",
        reasons=(),
        requests=len(ttft),
        errors={},
        output_tokens_per_s=rate,
        total_tokens_per_s=rate,
        requests_per_s=rate,
        latencies=Latencies(ttft_s=ttft, tpot_s=tpot, e2e_s=ttft),
    )


def _spread(times: Sequence[float], off: float) -> tuple[float, ...]:
    return tuple(time * off for _ in range(_ROUNDS) for time in times)
