"""What a plan is asked for: a model, a machine, an engine, a load and its limits. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from replicore.models.anatomy import Anatomy
from replicore.planner.sheet import Sheet
from replicore.planner.step.precision import Precision

if TYPE_CHECKING:
    from replicore.planner.memory.rank import RankMemory


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """Tokens of one request, prompt or output: a normal distribution."""

    mean: float
    stddev: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """Limits in seconds, for the 99th percentile of requests; None: any value is good."""

    ttft_p99_s: float | None = None
    tpot_p99_s: float | None = None

    @property
    def stated(self) -> bool:
        return (self.ttft_p99_s, self.tpot_p99_s) != (None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much is asked of the deployment; at most one is given.

    With neither, every slot of a layout has a request: it is saturated.

    Attributes:
        concurrency: Requests in flight over all replicas, each followed by another: a closed loop.
        rate_per_s: Requests that arrive per second, at random: an open loop.
    """

    concurrency: int | None = None
    rate_per_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Degree:
    """A tensor parallel degree, in cores of one replica.

    Attributes:
        replicas: How many of them the machine's cores have room for; 0 where it is refused.
        held: How many of them the memory has room for too, with the slots that the spec has.
        refusal: Why not, naming what the degree breaks; empty where it is legal.
        crowded: Why not one more, for people.
    """

    tp: int
    replicas: int
    held: int = 0
    refusal: str = ""
    crowded: str = ""


class MemoryRules(Protocol):
    """What one core keeps when a model is laid out so."""

    def __call__(
        self, *, replicas: int, tp: int, batch_size: int, max_model_len: int
    ) -> tuple[RankMemory, str]:
        """Return the memory of one core, and why it does not suffice; empty where it does.

        Raises:
            InfeasiblePlan: The engine has no such replica, whatever the memory.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Cores:
    """What replicas run on.

    Attributes:
        machine: Name, for people.
        count: Cores that may be used.
        rank_cores: Cores of one rank: threads that share weights, KV cache and memory. 1 where a
            core is a rank; None where all cores of a replica are one.
    """

    machine: str
    count: int
    sheet: Sheet
    rank_cores: int | None = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticLengths:
    """What an engine with a static batch compiles for, whatever the requests are.

    Attributes:
        prompt_tokens: Length that prompts are padded to, the mean; None where they are not.
    """

    prompt_tokens: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """All that a plan follows from.

    Attributes:
        name: Of the deployment.
        model: As clients name it.
        engine: Short name, as calibrations have it.
        static: Of an engine whose batch is compiled in; None with continuous batching.
        degrees: What was looked at of tp, ascending; those that are not possible too.
        memory: Rules for one core of a replica.
        paged: Sequences take what they have of one KV cache; otherwise each slot has its own.
        batch_sizes: Slots of one replica to try, ascending.
        replicas: The only number to try; None for all.
        own_size: Layout that the spec has, as ``2x32x4``; empty where it leaves one open.
        own_batch_size: Slots that the spec has; None where they are open.
        routing: Policy of the gateway, as the spec names it.
        risk: Probability of missing the limits that is accepted.
    """

    name: str
    model: str
    engine: str
    anatomy: Anatomy
    precision: Precision
    cores: Cores
    degrees: tuple[Degree, ...]
    memory: MemoryRules
    max_model_len: int
    input_tokens: Lengths
    output_tokens: Lengths
    batch_sizes: tuple[int, ...]
    paged: bool = True
    static: StaticLengths | None = None
    slo: Slo = field(default=Slo())
    load: Load = field(default=Load())
    replicas: int | None = None
    own_size: str = ""
    own_batch_size: int | None = None
    routing: str = "least_work"
    risk: float = 0.05

    @property
    def kept_batch_size(self) -> int | None:
        """Slots of what is recommended, as `replicore up` takes them; None for any.

        More slots give more tokens and longer waits. Where neither limits nor a rate say how long
        is too long, the spec's number is what is known of it.
        """
        decided = self.slo.stated or self.load.rate_per_s is not None
        return None if decided else self.own_batch_size
