"""What a plan answers: what each layout would do, and which is best. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp
from typing import TYPE_CHECKING

from replicore.planner.question import Question
from replicore.planner.step.traffic import Case

if TYPE_CHECKING:
    from replicore.planner.memory.rank import RankMemory

# Costs of a request's time, in the order in which they are told.
COSTS = ("weights", "kv", "compute", "prefill", "collectives", "host", "queue")

# Standard deviations on either side of the median that hold 80 % of a normal distribution.
_EIGHTY_PERCENT = 1.2816


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """A predicted number: the median, and the interval that holds it in 80 % of cases."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, median: float, log_sd: float) -> Forecast:
        """Return the forecast of a log-normal number."""
        reach = exp(_EIGHTY_PERCENT * log_sd)
        return cls(value=median, low=median / reach, high=median * reach)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What a layout does under the load.

    Attributes:
        ttft_s: Mean time to first token, waiting included; None where utilisation is too high to
            say (``TOO_BUSY`` of ``service.py``).
        tpot_s: Mean time per output token after the first.
        ttft_p99_s: What 99 % of requests are within; None as ``ttft_s``.
        tpot_p99_s: Likewise.
        replica_tokens_per_s: Output tokens of one replica.
        tokens_per_s: Output tokens of all replicas.
        goodput_per_s: Requests a second that meet every limit of the SLO.
        running: Sequences that one replica works on at a time.
        utilisation: Of what the layout can take at most: 1 where it is saturated.
        shares: Share of each of ``COSTS`` in the time of a request; they add up to 1.
        tpot_shares: The same of TPOT alone.
        ttft_shares: The same of TTFT alone.
        binding: The largest of ``shares``.
        meets: Probability that the SLO is met; 1 without one.
        log_sd: Standard deviation of the logarithm of ``tokens_per_s``.
        case: One replica under its part of the load: what was predicted.
        beyond: Features in which it is outside of what was calibrated.
        notes: What else is to be known, for people.
    """

    ttft_s: Forecast | None
    tpot_s: Forecast
    ttft_p99_s: Forecast | None
    tpot_p99_s: Forecast
    replica_tokens_per_s: Forecast
    tokens_per_s: Forecast
    goodput_per_s: float
    running: float
    utilisation: float
    shares: Mapping[str, float]
    tpot_shares: Mapping[str, float]
    ttft_shares: Mapping[str, float]
    binding: str
    meets: float
    log_sd: float
    case: Case
    beyond: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One layout: what it does, or why it cannot be.

    Attributes:
        refusal: Why not, naming the value that stands against it; empty where it can be run.
        memory: Of one core; None where the layout is refused before memory matters.
        service: None where it is refused.
    """

    replicas: int
    tp: int
    batch_size: int
    refusal: str = ""
    memory: RankMemory | None = None
    service: Service | None = None

    @property
    def size(self) -> str:
        """``4x16x2``: replicas x tp x batch_size, as ``--explain`` takes it."""
        return f"{self.replicas}x{self.tp}x{self.batch_size}"

    @property
    def cores(self) -> int:
        return self.replicas * self.tp


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What would change the answer.

    Attributes:
        what: The change, such as "a TPOT limit of 20 ms instead of 25 ms".
        size: The layout that would be best then; None where none would do.
    """

    what: str
    size: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The answer.

    Attributes:
        outcomes: The best first; refused ones last.
        best: Of ``outcomes``; None where no layout can be run.
        feasible: Whether ``best`` meets the SLO within the risk.
        reason: The recommendation in one sentence.
        changes: What would change it.
        calibrated_from: Where the predictor's factors are from, for people.
    """

    question: Question
    outcomes: tuple[Outcome, ...]
    best: Outcome | None
    feasible: bool
    reason: str
    calibrated_from: str
    changes: tuple[Change, ...] = ()
