"""What is simulated: replicas, how requests find them, and when they fail. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from replicore.engines.sim.steptime import Part
from replicore.errors import ConfigError
from replicore.gateway.routing.policies import POLICIES
from replicore.wording import listed, quoted

Batching = Literal["continuous", "static", "independent"]
Binding = Literal["late", "early"]

# vLLM's max_num_batched_tokens for a server.
TOKEN_BUDGET = 8192
KV_BLOCK_TOKENS = 16


class Steps(Protocol):
    """How long steps take, as ``engines.sim.steptime.StepTime`` has it; all in seconds."""

    def decode(self, sequences: int, context: int) -> float:
        """Return the length of a decode step.

        Args:
            context: Tokens that all of its sequences attend to together.
        """
        ...

    def mixed(self, sequences: int, context: int, parts: Sequence[Part]) -> float:
        """Return the length of a step with parts of prompts, beside a decode step of any size."""
        ...

    def prefill(self, tokens: int, before: int) -> float:
        """Return the length of a step with a part of a prompt and nothing else."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaModel:
    """One replica.

    Attributes:
        slots: Requests that it works on at a time.
        batching: ``continuous`` fills steps as vLLM does and ``static`` as the compiled models of
            Neuron, see ``engines/sim/stepped.py``; in an ``independent`` one no request slows
            another's step, see ``engines/sim/scheduler.py``.
        token_budget: Tokens of a continuous step, decoded and of prompts.
        kv_tokens: That a continuous replica's KV cache holds; None where every slot has all that
            it may need.
        max_model_len: Prompt and output of a request at most; None for any number.

    Raises:
        ConfigError: A number below 1, or a KV limit on a batching that has none.
    """

    steps: Steps
    slots: int
    batching: Batching = "continuous"
    token_budget: int = TOKEN_BUDGET
    kv_tokens: int | None = None
    kv_block_tokens: int = KV_BLOCK_TOKENS
    max_model_len: int | None = None

    def __post_init__(self) -> None:
        for name in ("slots", "token_budget", "kv_tokens", "kv_block_tokens", "max_model_len"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise ConfigError(f"{name}: {number} is below 1")
        if self.kv_tokens is not None and self.batching != "continuous":
            raise ConfigError(
                f"kv_tokens: {self.batching} batching has a KV cache for every slot; only"
                " continuous batching shares one"
            )


@dataclass(frozen=True, slots=True)
class Outage:
    """A replica that is down from ``at_s`` on, for ``seconds``.

    Raises:
        ConfigError: A time that is not a number of at least 0.
    """

    replica: int
    at_s: float
    seconds: float

    def __post_init__(self) -> None:
        if not 0 <= self.at_s < math.inf or not self.seconds >= 0:
            raise ConfigError(
                f"outage of {self.seconds:g} s at {self.at_s:g} s: both must be at least 0"
            )


@dataclass(frozen=True, slots=True)
class Breakdowns:
    """Failures at random: times up and times down are exponential, of each replica on its own.

    Attributes:
        mtbf_s: Mean time from a recovery to the next failure.
        mttr_s: Mean time from a failure to the recovery.

    Raises:
        ConfigError: One that is not above 0.
    """

    mtbf_s: float
    mttr_s: float

    def __post_init__(self) -> None:
        if not self.mtbf_s > 0 or not self.mttr_s > 0:
            raise ConfigError(
                f"mtbf {self.mtbf_s:g} s and mttr {self.mttr_s:g} s must both be above 0"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetModel:
    """Replicas behind one gateway.

    Attributes:
        policy: One of the gateway's, by name.
        binding: Where a request waits. ``late``: in the gateway, until a replica has a free slot,
            as replicore's own does it; ``early``: in the replica that it is sent to at once.
        queue_limit: Requests that may wait in the gateway; None for any number.

    Raises:
        ConfigError: No replicas, an unknown policy, a limit below 0, or the outage of a replica
            that is not there.
    """

    replicas: tuple[ReplicaModel, ...]
    policy: str = "least_work"
    binding: Binding = "late"
    queue_limit: int | None = None
    outages: tuple[Outage, ...] = ()
    breakdowns: Breakdowns | None = None

    def __post_init__(self) -> None:
        if not self.replicas:
            raise ConfigError("a fleet needs at least one replica")
        if self.policy not in POLICIES:
            raise ConfigError(
                f"policy: unknown policy {quoted(self.policy)} (valid: {listed(POLICIES)})"
            )
        if self.queue_limit is not None and self.queue_limit < 0:
            raise ConfigError(f"queue_limit: {self.queue_limit} is below 0")
        for outage in self.outages:
            if not 0 <= outage.replica < len(self.replicas):
                raise ConfigError(
                    f"outage of replica {outage.replica}: there are {len(self.replicas)}, from 0"
                )
