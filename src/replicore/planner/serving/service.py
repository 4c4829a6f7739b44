"""What a layout does under the load: times, tokens, goodput, and what they consist of. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import hypot, log
from statistics import NormalDist

from replicore.planner.layouts import Layout
from replicore.planner.plan import COSTS, Forecast, Service
from replicore.planner.prediction.fit import Array
from replicore.planner.question import Question, Slo
from replicore.planner.serving.curves import Curve
from replicore.planner.serving.flow import Flow, flow_of
from replicore.planner.serving.spread import percentile_99, tpot_spread, ttft_spread
from replicore.planner.step.traffic import Case, Traffic
from replicore.wording import pluralize

# Above it the wait depends on the rate so much that a predicted one is wrong by multiples.
TOO_BUSY = 0.9

# Prompts that take so many times as long for being padded are worth a note.
_PADDED = 1.1

_NORMAL = NormalDist()
_PREFILL, _KV, _QUEUE = (COSTS.index(name) for name in ("prefill", "kv", "queue"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """One time of requests, log-normal twice over: what is predicted, and around it the requests.

    Attributes:
        mean_s: What is predicted.
        log_sd: Of the prediction's error.
        spread: Of the requests of one run.
    """

    mean_s: float
    log_sd: float
    spread: float

    @property
    def mean(self) -> Forecast:
        return Forecast.of(self.mean_s, self.log_sd)

    @property
    def p99(self) -> Forecast:
        return Forecast.of(percentile_99(self.mean_s, self.spread), self.log_sd)

    def chance_of_p99(self, limit_s: float | None) -> float:
        """Return the probability that the 99th percentile is within a limit."""
        return within(percentile_99(self.mean_s, self.spread), self.log_sd, limit_s)

    def share_within(self, limit_s: float | None) -> float:
        """Return the expected share of requests that are within a limit."""
        return within(self.mean_s, hypot(self.log_sd, self.spread), limit_s)


def within(median: float, log_sd: float, limit: float | None) -> float:
    """Return the probability that a log-normal number is within a limit; 1 where there is none."""
    return 1.0 if limit is None else _NORMAL.cdf(log(limit / median) / log_sd)


def service_of(question: Question, layout: Layout, curve: Curve, kv_tokens: int | None) -> Service:
    """Return what a layout does.

    Goodput is requests a second, times the share of them that is within each limit:
    P(TTFT <= limit) P(TPOT <= limit), with the spread of requests and the error of the prediction.

    Args:
        kv_tokens: That one replica's KV cache holds for all of its sequences; None where each slot
            has all that it may need.
    """
    held = None if kv_tokens is None else max(1.0, kv_tokens / _context(question))
    slots = layout.batch_size if held is None else min(layout.batch_size, held)
    flow = flow_of(question, layout, curve, slots)
    tpot, ttft = _tpot(question, flow), _ttft(question, flow)
    tpot_s, ttft_s = flow.at.tpot_s, float(flow.ttft_s.sum())
    decode_s = tpot_s * (question.output_tokens.mean - 1)
    log_sd = (decode_s * tpot.log_sd + ttft_s * ttft.log_sd) / (decode_s + ttft_s)
    known = flow.utilisation <= TOO_BUSY or question.load.rate_per_s is None
    tokens = flow.requests_per_s * question.output_tokens.mean
    requests = flow.requests_per_s * flow.busy_replicas
    shares = _shares(flow.ttft_s + decode_s * flow.at.tpot_shares)
    return Service(
        ttft_s=ttft.mean if known else None,
        tpot_s=tpot.mean,
        ttft_p99_s=ttft.p99 if known else None,
        tpot_p99_s=tpot.p99,
        replica_tokens_per_s=Forecast.of(tokens, log_sd),
        tokens_per_s=Forecast.of(tokens * flow.busy_replicas, log_sd),
        goodput_per_s=requests * _good_share(question.slo, ttft, tpot) if known else 0.0,
        running=flow.running,
        utilisation=flow.utilisation,
        shares=shares,
        tpot_shares=_shares(flow.at.tpot_shares),
        ttft_shares=_shares(flow.ttft_s),
        binding=max(shares, key=lambda cost: shares[cost]),
        meets=_chance(question, flow, ttft, tpot, log_sd),
        log_sd=log_sd,
        case=_case(question, curve, flow, kv_tokens),
        notes=tuple(_notes(question, layout, flow, held)),
    )


def _context(question: Question) -> float:
    """Return the tokens that a sequence has in the KV cache, the mean over its life."""
    return question.input_tokens.mean + question.output_tokens.mean / 2


def _tpot(question: Question, flow: Flow) -> Latency:
    spread = tpot_spread(
        prefill=float(flow.at.tpot_shares[_PREFILL]),
        kv=float(flow.at.tpot_shares[_KV]),
        running=flow.running,
        prompts=question.input_tokens,
        arrival_cv2=flow.arrival_cv2,
    )
    return Latency(mean_s=flow.at.tpot_s, log_sd=flow.at.tpot_log_sd, spread=spread)


def _ttft(question: Question, flow: Flow) -> Latency:
    total = float(flow.ttft_s.sum())
    spread = ttft_spread(
        prefill=float(flow.ttft_s[_PREFILL]) / total,
        queue=float(flow.ttft_s[_QUEUE]) / total,
        prompts=question.input_tokens,
        waiting_cv=flow.waiting_cv,
    )
    return Latency(mean_s=total, log_sd=flow.at.ttft_log_sd, spread=spread)


def _shares(parts: Array) -> dict[str, float]:
    total = float(parts.sum())
    return {cost: float(part) / total for cost, part in zip(COSTS, parts, strict=True)}


def _good_share(slo: Slo, ttft: Latency, tpot: Latency) -> float:
    return ttft.share_within(slo.ttft_p99_s) * tpot.share_within(slo.tpot_p99_s)


def _chance(question: Question, flow: Flow, ttft: Latency, tpot: Latency, log_sd: float) -> float:
    """Return the probability that the SLO is met, and that the rate can be kept up with."""
    slo = question.slo
    met = ttft.chance_of_p99(slo.ttft_p99_s) * tpot.chance_of_p99(slo.tpot_p99_s)
    if question.load.rate_per_s is None:
        return met
    return met * within(flow.utilisation, log_sd, TOO_BUSY)


def _case(question: Question, curve: Curve, flow: Flow, kv_tokens: int | None) -> Case:
    traffic = Traffic(
        input_tokens=question.input_tokens.mean,
        output_tokens=question.output_tokens.mean,
        concurrency=flow.in_flight,
    )
    return Case(replica=replace(curve.replica, kv_tokens=kv_tokens), traffic=traffic)


def _notes(question: Question, layout: Layout, flow: Flow, held: float | None) -> Iterator[str]:
    if held is not None and held < layout.batch_size:
        yield (f"the KV cache holds {held:.0f} requests at a time of the {layout.batch_size} slots")
    prompt = question.input_tokens.mean
    padded = question.static.prompt_tokens if question.static is not None else None
    if padded is not None and padded > _PADDED * prompt:
        yield f"prompts of {prompt:.0f} tokens take as long as the {padded:.0f} they are padded to"
    if flow.busy_replicas < layout.replicas:
        idle = layout.replicas - flow.busy_replicas
        yield f"{pluralize(idle, 'replica')} {'has' if idle == 1 else 'have'} no request"
    if question.load.rate_per_s is not None and flow.utilisation > 1:
        yield f"{flow.utilisation:.2f} times as much arrives as it can do"
    elif question.load.rate_per_s is not None and flow.utilisation > TOO_BUSY:
        yield f"at {flow.utilisation:.0%} utilisation TTFT cannot be told"
