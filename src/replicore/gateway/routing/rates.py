"""How fast each replica works, learned from the requests that it served.

Prefill
    A replica works its prompts through with one rate, in tokens a second, in whatever order: an
    engine that takes one prompt after the other and one that takes several at once differ in who
    is first, not in when all are done. So a sample is the prompt tokens done in a stretch of time
    in which there were some to do all along, over its length (see ``ledger.py``). The rate is the
    p50 of the samples, weighted by tokens: what a request costs beside its tokens makes short
    prompts look slow, and those weigh little.

Decode
    The requests of a replica share its decode steps, so there is no one rate: the step gets longer
    the more take part. It is close to a straight line in the concurrency::

        step seconds = base + slope * concurrency

    A memory-bound accelerator has nearly all in the base, and its next request is nearly free; a
    CPU has nearly all in the slope, and its whole rate, 1 / slope, is shared out. The line is
    fitted to the requests of all replicas alike, as one replica alone seldom sees a range of
    concurrencies; how much slower than that line a replica is, is the p50 of its own requests.

A replica's own figure counts once it has samples enough, and is well away from that of all: until
then it has exactly theirs. So a fresh replica is neither flooded nor starved, and equal replicas
have equal costs, ties, and turns.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Collection
from itertools import accumulate

# Before any sample only their ratio matters: one prompt token costs as much as 1/100 output token,
# as on common accelerators.
_PRIOR_PREFILL_RATE = 5_000.0
_PRIOR_STEP_S = 0.02
# Slope over base, before requests at different concurrencies showed it.
_PRIOR_SLOPE_SHARE = 1 / 16
# How much the prior slope weighs: as samples with this sum of squared deviations of concurrency.
_PRIOR_WEIGHT = 8.0
# A further request is never quite free: it takes a slot and memory.
_LEAST_SLOPE_SHARE = 1 / 100

_SAMPLES = 64
_OWN_SAMPLES = 8
_OWN_MARGIN = 1.25

# Stretches shorter than this many tokens are joined, so that prompts that were worked on at once,
# and end at once, are one sample.
_PREFILL_TOKENS = 2048

# The first samples count at once; later ones once in a while, as sorting takes time.
_FIRST_SAMPLES = 16
_REFRESH_S = 1.0

Samples = deque[tuple[float, float]]


class FleetRates:
    """What all replicas of a gateway have in common."""

    __slots__ = ("_members", "_refresh_at", "_samples", "prefill_rate", "prefills", "step", "steps")

    def __init__(self) -> None:
        self.prefills: Samples = deque(maxlen=_SAMPLES)
        self.steps: Samples = deque(maxlen=_SAMPLES)
        self.prefill_rate = _PRIOR_PREFILL_RATE
        self.step = (_PRIOR_STEP_S, _PRIOR_STEP_S * _PRIOR_SLOPE_SHARE)
        self._members: set[Rates] = set()
        self._samples = 0
        self._refresh_at = 0.0

    def join(self) -> Rates:
        """Return the rates of a new incarnation of a replica."""
        rates = Rates(self)
        self._members.add(rates)
        return rates

    def leave(self, rates: Rates) -> None:
        """Forget an incarnation that is gone; what it taught stays."""
        self._members.discard(rates)

    def sampled(self, now: float) -> None:
        """Work all rates out anew, if it is time to."""
        self._samples += 1
        if self._samples > _FIRST_SAMPLES and now < self._refresh_at:
            return
        self._refresh_at = now + _REFRESH_S
        if self.prefills:
            self.prefill_rate = weighted_median(self.prefills)
        if self.steps:
            self.step = fit_step(self.steps)
        for rates in self._members:
            rates.refresh()


class Rates:
    """What one incarnation of a replica is reckoned with.

    Attributes:
        prefill_rate: Prompt tokens a second, of the whole replica.
        step_base_s: Seconds of a decode step that are there at any concurrency.
        step_slope_s: Seconds that each request adds to a decode step; more than 0.
    """

    __slots__ = (
        "_fleet",
        "_prefills",
        "_seconds",
        "_steps",
        "_tokens",
        "prefill_rate",
        "step_base_s",
        "step_slope_s",
    )

    def __init__(self, fleet: FleetRates) -> None:
        self._fleet = fleet
        self._prefills: Samples = deque(maxlen=_SAMPLES // 2)
        self._steps: Samples = deque(maxlen=_SAMPLES // 2)
        self._tokens = 0.0
        self._seconds = 0.0
        self.refresh()

    def learn_prefill(self, tokens: float, seconds: float, now: float, *, last: bool) -> None:
        """Take in a stretch of prefill; ``last``: nothing was left to do at its end."""
        self._tokens = tokens = self._tokens + tokens
        self._seconds = seconds = self._seconds + seconds
        if last or tokens >= _PREFILL_TOKENS:
            self._tokens = self._seconds = 0.0
            if seconds > 0:
                sample = (tokens / seconds, tokens)
                self._prefills.append(sample)
                self._fleet.prefills.append(sample)
                self._fleet.sampled(now)

    def learn_step(self, seconds: float, concurrency: float, now: float) -> None:
        """Take in the mean decode step of a request, and the mean concurrency in its time."""
        if seconds > 0:
            sample = (seconds, concurrency)
            self._steps.append(sample)
            self._fleet.steps.append(sample)
            self._fleet.sampled(now)

    def refresh(self) -> None:
        """Work out what the samples say."""
        fleet = self._fleet
        self.prefill_rate = fleet.prefill_rate
        if len(self._prefills) >= _OWN_SAMPLES:
            own = weighted_median(self._prefills)
            if _differ(own, fleet.prefill_rate):
                self.prefill_rate = own
        base, slope = fleet.step
        slowness = 1.0
        if len(self._steps) >= _OWN_SAMPLES:
            own = weighted_median(
                [(step / (base + slope * many), 1.0) for step, many in self._steps]
            )
            if _differ(own, 1.0):
                slowness = own
        self.step_base_s = base * slowness
        self.step_slope_s = slope * slowness


def weighted_median(samples: Collection[tuple[float, float]]) -> float:
    """Return the value up to which half of the weight lies, of pairs of value and weight."""
    ordered = sorted(samples)
    weights = list(accumulate(weight for _, weight in ordered))
    return ordered[bisect_left(weights, weights[-1] / 2)][0]


def fit_step(samples: Collection[tuple[float, float]]) -> tuple[float, float]:
    """Return base and slope of the decode step, in seconds, of pairs of step and concurrency.

    The line goes through the medians. Its slope is that of least squares, drawn to the prior one as
    long as all were at about the same concurrency; it is at least a hundredth of the step, and no
    more than makes the base 0.
    """
    half = len(samples) // 2
    middle_s = sorted(step for step, _ in samples)[half]
    middle = max(1.0, sorted(many for _, many in samples)[half])
    spread = joint = _PRIOR_WEIGHT
    joint *= middle_s * _PRIOR_SLOPE_SHARE / (1 + _PRIOR_SLOPE_SHARE * middle)
    for step, many in samples:
        # One stream that its client held up says nothing about the engine.
        if step < 4 * middle_s:
            spread += (many - middle) ** 2
            joint += (many - middle) * (step - middle_s)
    slope = min(max(joint / spread, middle_s * _LEAST_SLOPE_SHARE), middle_s / middle)
    return middle_s - slope * middle, slope


def _differ(one: float, other: float) -> bool:
    return not other / _OWN_MARGIN < one < other * _OWN_MARGIN
