"""LLMPerf's two files: the summary, and the individual responses beside it. Pure.

The files do not say which version wrote them, and the versions compute the inter-token latency and
the throughput of a request in different ways. The individual responses tell: with T tokens in an
answer that ends at e2e,

==================== ======================== =====================
version              inter_token_latency_s    request throughput
==================== ======================== =====================
v2.0                 tₙ / T                   events / e2e
main                 tₙ / events              T / e2e
neuron, corrected    (tₙ − t₁) / (T − 1)      T / e2e
==================== ======================== =====================

Source: llmperf ``token_benchmark_ray.py``, ``common_metrics.py``; aws-neuron-sdk
``neuron_perf.patch``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import Any

from replicore.bench.compare.formats.source import (
    Source,
    at,
    mean,
    number,
    objects,
    quotient,
    text,
    tpot,
    whole,
)
from replicore.bench.compare.meaning import (
    DRAIN,
    EVENTS_AS_TOKENS,
    NEW_CONNECTION,
    ONE_TOKEN_MORE,
    OWN_TOKENIZER,
    STREAM_END,
    UNKNOWN_VERSION,
    ZEROS,
    Departure,
    Metric,
)
from replicore.bench.compare.measured import (
    PERCENTILES,
    Conditions,
    Measured,
    Reading,
    aside,
    of_rate,
    of_summary,
    of_values,
    present,
)

TOOL = "LLMPerf"
_SUMMARY, _RESPONSES = "_summary.json", "_individual_responses.json"
_ITL, _TTFT, _E2E = "inter_token_latency_s", "ttft_s", "end_to_end_latency_s"
_RATE, _TOKENS = "request_output_throughput_token_per_s", "number_output_tokens"
_SECONDS_PER_MINUTE = 60
# Up to this share of requests, those that main drops and waits for do not move a mean much.
_FEW = 0.05
# A request's throughput is computed from T if it gives T back this closely.
_ROUNDING = 1e-6
# How far the last content may be from the end of the stream, as a part of E2E.
_NEAR = 0.1

_COUNTED = (OWN_TOKENIZER, ONE_TOKEN_MORE)
_WHOLE = (NEW_CONNECTION, STREAM_END)


class Version(StrEnum):
    """Whose arithmetic it is."""

    V2 = "v2.0"
    MAIN = "main"
    SPLIT = "neuron or corrected"


def recognises(document: object) -> bool:
    """Tell whether it is a summary, or a file of individual responses."""
    if at(document, "results_num_requests_started") is not None:
        return True
    responses = objects(document)
    return bool(responses) and {_ITL, _TTFT, _E2E} <= responses[0].keys()


def read(source: Source) -> list[Measured]:
    summary, responses = _both(source)
    good = [it for it in responses if at(it, "error_code") is None]
    requests = [_Request.of(it) for it in good]
    version = version_of(requests)
    conditions = _conditions(summary, responses, requests)
    computed = _computed(requests, version, conditions.concurrency)
    return [
        Measured(
            name=source.name,
            tool=f"{TOOL} ({version})" if version else TOOL,
            conditions=conditions,
            readings=_summaries(summary, version) | computed | _rates(summary, version),
            notes=_notes(version),
        )
    ]


def _both(source: Source) -> tuple[object, Sequence[Mapping[str, Any]]]:
    """Return the summary and the responses, whichever of them was named."""
    if responses := objects(source.document):
        summaries = source.beside(source.name.replace(_RESPONSES, _SUMMARY))
        return next(iter(summaries), None), responses
    return source.document, source.beside(source.name.replace(_SUMMARY, _RESPONSES))


def _notes(version: Version | None) -> list[str]:
    if version is Version.V2:
        return ["it sends in rounds, so fewer requests are in flight than its concurrency says"]
    return []


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """A response without an error; None for what is not there, and for a TTFT of 0."""

    itl_s: float | None
    ttft_s: float | None
    e2e_s: float | None
    rate_per_s: float | None
    tokens: float | None
    input_tokens: float | None

    @classmethod
    def of(cls, response: Mapping[str, Any]) -> _Request:
        return cls(
            itl_s=number(response.get(_ITL)),
            ttft_s=number(response.get(_TTFT)) or None,
            e2e_s=number(response.get(_E2E)) or None,
            rate_per_s=number(response.get(_RATE)),
            tokens=number(response.get(_TOKENS)),
            input_tokens=number(response.get("number_input_tokens")),
        )


def version_of(requests: Sequence[_Request]) -> Version | None:
    """Return whose arithmetic the responses have; None where they do not tell."""
    usable = [
        (it.itl_s, it.ttft_s, it.e2e_s, it.rate_per_s, it.tokens)
        for it in requests
        if it.itl_s and it.ttft_s and it.e2e_s and it.rate_per_s and (it.tokens or 0) > 1
    ]
    if not usable:
        return None
    from_tokens = median(
        abs(rate * e2e / tokens - 1) for _, _, e2e, rate, tokens in usable if tokens
    )
    if from_tokens > _ROUNDING:
        return Version.V2
    with_ttft = median(abs(itl * tokens - e2e) / e2e for itl, _, e2e, _, tokens in usable if tokens)
    after_it = median(
        abs(ttft + itl * (tokens - 1) - e2e) / e2e for itl, ttft, e2e, _, tokens in usable if tokens
    )
    return Version.SPLIT if after_it < min(with_ttft, _NEAR) else Version.MAIN


def _meaning_of_itl(version: Version | None) -> tuple[Metric, tuple[Departure, ...]]:
    """Return what the inter-token latency is: only the Neuron patch leaves the TTFT out of it."""
    match version:
        case Version.V2:
            return Metric.NORMALIZED, (NEW_CONNECTION, *_COUNTED)
        case Version.MAIN:
            return Metric.NORMALIZED, (NEW_CONNECTION, EVENTS_AS_TOKENS)
        case Version.SPLIT:
            return Metric.TPOT, _COUNTED
    return Metric.NORMALIZED, (UNKNOWN_VERSION,)


def _meaning_of_rate(version: Version | None) -> tuple[Departure, ...]:
    match version:
        case Version.V2:
            return (*_WHOLE, EVENTS_AS_TOKENS)
        case None:
            return (UNKNOWN_VERSION,)
    return (*_WHOLE, *_COUNTED)


def _conditions(
    summary: object, responses: Sequence[object], requests: Sequence[_Request]
) -> Conditions:
    succeeded = whole(at(summary, "results_num_completed_requests"))
    failed = whole(at(summary, "results_number_errors"))
    return Conditions(
        model=text(at(summary, "model")),
        closed=True,
        concurrency=whole(at(summary, "num_concurrent_requests")),
        input_tokens=number(at(summary, "results_number_input_tokens_mean"))
        or mean(it.input_tokens for it in requests),
        output_tokens=number(at(summary, "results_number_output_tokens_mean"))
        or mean(it.tokens for it in requests),
        succeeded=len(requests) if succeeded is None else succeeded,
        failed=len(responses) - len(requests) if failed is None else failed,
    )


def _summaries(summary: object, version: Version | None) -> dict[Metric, Reading]:
    def distribution(name: str, departures: Iterable[Departure]) -> Reading | None:
        prefix = f"results_{name}"
        points = {p: number(at(summary, f"{prefix}_quantiles_{p}")) for p in PERCENTILES}
        mean_s = number(at(summary, f"{prefix}_mean"))
        return of_summary(prefix, {"mean": mean_s, **points}, departures=departures)

    zeros = (ZEROS,) if number(at(summary, f"results_{_TTFT}_min")) == 0 else ()
    latency, departures = _meaning_of_itl(version)
    return present(
        {
            latency: distribution(_ITL, departures),
            Metric.TTFT: distribution(_TTFT, (NEW_CONNECTION, *zeros)),
            Metric.E2E: distribution(_E2E, _WHOLE),
            Metric.REQUEST_RATE: distribution(_RATE, _meaning_of_rate(version)),
        }
    )


def _rates(summary: object, version: Version | None) -> dict[Metric, Reading]:
    concurrency = number(at(summary, "num_concurrent_requests")) or 0
    started = number(at(summary, "results_num_requests_started")) or 0
    drains = version in (None, Version.MAIN) and concurrency > _FEW * started
    drain = (DRAIN,) if drains else ()
    tokens = "results_mean_output_throughput_token_per_s"
    requests = "results_num_completed_requests_per_min"
    per_s = quotient(number(at(summary, requests)), _SECONDS_PER_MINUTE)
    return present(
        {
            Metric.RUN_OUTPUT_RATE: of_rate(
                tokens, number(at(summary, tokens)), departures=(*_COUNTED, *drain)
            ),
            Metric.RUN_REQUESTS_RATE: of_rate(f"{requests} / 60", per_s, departures=drain),
        }
    )


def _computed(
    requests: Sequence[_Request], version: Version | None, depth: int | None
) -> dict[Metric, Reading]:
    """Compute what the responses carry; TPOT and E2E / T by our formulas for every version."""

    def values(
        field: str, found: Iterable[float | None], departures: Iterable[Departure]
    ) -> Reading | None:
        return of_values(field, found, depth=depth, departures=departures)

    latency, departures = _meaning_of_itl(version)
    per_token = (quotient(it.e2e_s, it.tokens) for it in requests)
    after_first = (tpot(it.ttft_s, it.e2e_s, it.tokens) for it in requests)
    formula = f"({_E2E} − {_TTFT}) / ({_TOKENS} − 1)"
    derived = {
        Metric.TPOT: values(formula, after_first, (*_COUNTED, STREAM_END)),
        Metric.NORMALIZED: aside(values(f"{_E2E} / {_TOKENS}", per_token, (*_COUNTED, *_WHOLE))),
    }
    rates = (it.rate_per_s for it in requests)
    own = {
        latency: values(_ITL, (it.itl_s for it in requests), departures),
        Metric.TTFT: values(_TTFT, (it.ttft_s for it in requests), (NEW_CONNECTION,)),
        Metric.E2E: values(_E2E, (it.e2e_s for it in requests), _WHOLE),
        Metric.REQUEST_RATE: values(_RATE, rates, _meaning_of_rate(version)),
    }
    return present(derived) | present(own)
