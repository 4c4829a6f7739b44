"""Result files of ``vllm bench serve``, of its Python and of its Rust client. Pure.

TTFT, TPOT and E2E are computed as ours. An "ITL" is the time between two events.

Source: vllm ``benchmarks/serve.py``, ``benchmarks/lib/endpoint_request_func.py``; vllm-bench
``src/output/json.rs``, ``src/metrics/steady_state.rs``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from replicore.bench.compare.formats.source import (
    Source,
    at,
    number,
    numbers,
    quotient,
    text,
    tpot,
    whole,
)
from replicore.bench.compare.meaning import (
    EMPTY_EVENTS,
    EVENTS_AS_TOKENS,
    FIRST_EVENT,
    Departure,
    Metric,
)
from replicore.bench.compare.measured import (
    Conditions,
    Measured,
    Reading,
    aside,
    of_rate,
    of_several,
    of_summary,
    of_values,
    present,
)

TOOL = "vllm bench serve"
_MILLISECONDS = 0.001


def recognises(document: object) -> bool:
    return bool(_backend(document)) and number(at(document, "request_throughput")) is not None


def read(source: Source) -> list[Measured]:
    document = source.document
    lengths = tuple(whole(length) for length in numbers(at(document, "input_lens")))
    order, requests = _requests(document)
    departures = [FIRST_EVENT] if "chat" in _backend(document) else []
    conditions = _conditions(document)
    readings = _summaries(document, departures) | _rates(document)
    return [
        Measured(
            name=source.name,
            tool=TOOL,
            conditions=conditions,
            readings=readings | _computed(requests, departures, conditions.concurrency),
            # Prompts whose lengths vary, and agree in every one, are the same prompts.
            workload=(TOOL, lengths) if len(set(lengths)) > 1 else None,
            keys=order,
            notes=_notes(document),
        )
    ]


def _backend(document: object) -> str:
    return text(at(document, "backend")) or text(at(document, "endpoint_type")) or ""


def _conditions(document: object) -> Conditions:
    completed = whole(at(document, "completed"))
    asked = whole(at(document, "num_prompts"))
    failed = whole(at(document, "failed"))
    if failed is None and asked is not None and completed is not None:
        failed = asked - completed
    # Text stands for a rate without a limit.
    rate = number(at(document, "request_rate"))
    concurrency = whole(at(document, "max_concurrency"))
    return Conditions(
        model=text(at(document, "model_id")),
        closed=rate is None and concurrency is not None,
        concurrency=concurrency,
        rate_per_s=rate,
        arrivals=None if rate is None else _arrivals(number(at(document, "burstiness"))),
        input_tokens=quotient(number(at(document, "total_input_tokens")), completed),
        output_tokens=quotient(number(at(document, "total_output_tokens")), completed),
        succeeded=completed,
        failed=failed,
    )


def _arrivals(burstiness: float | None) -> str:
    return "poisson" if burstiness in (None, 1.0) else f"gamma, burstiness {burstiness:g}"


def _notes(document: object) -> list[str]:
    if at(document, "max_concurrency") is None and number(at(document, "request_rate")) is None:
        return ["all requests were sent at once, so its TTFT is mostly the wait in the queue"]
    return []


def _summaries(document: object, departures: Sequence[Departure]) -> dict[Metric, Reading]:
    def summary(name: str, departures: Sequence[Departure] = ()) -> Reading | None:
        points = {"mean": at(document, f"mean_{name}_ms"), "p50": at(document, f"median_{name}_ms")}
        points |= {f"p{p}": at(document, f"p{p}_{name}_ms") for p in (90, 95, 99)}
        known = {statistic: number(value) for statistic, value in points.items()}
        return of_summary(f"{name}_ms", known, scale=_MILLISECONDS, departures=departures)

    return present(
        {
            Metric.TTFT: summary("ttft", departures),
            Metric.TPOT: summary("tpot", departures),
            Metric.GAP: summary("itl", (*departures, EMPTY_EVENTS)),
            Metric.E2E: summary("e2el"),
            Metric.E2E_INTENDED: summary("e2el_including_client_queue"),
        }
    )


def _rates(document: object) -> dict[Metric, Reading]:
    def rate(*path: str, departures: Iterable[Departure] = ()) -> Reading | None:
        return of_rate(".".join(path), number(at(document, *path)), departures=departures)

    steady, events = "steady_state", (EVENTS_AS_TOKENS,)
    return present(
        {
            Metric.OUTPUT_RATE: rate(steady, "output_throughput", departures=events),
            Metric.TOTAL_RATE: rate(steady, "total_token_throughput", departures=events),
            Metric.REQUESTS_RATE: rate(steady, "request_throughput"),
            Metric.RUN_OUTPUT_RATE: rate("output_throughput"),
            Metric.RUN_TOTAL_RATE: rate("total_token_throughput"),
            Metric.RUN_REQUESTS_RATE: rate("request_throughput"),
        }
    )


@dataclass(frozen=True, slots=True)
class _Request:
    ttft_s: float
    gaps_s: tuple[float, ...]
    tokens: float

    @property
    def e2e_s(self) -> float:
        """Its latency is defined as the end of the last gap."""
        return self.ttft_s + sum(self.gaps_s)

    @property
    def tpot_s(self) -> float | None:
        return tpot(self.ttft_s, self.e2e_s, self.tokens)


def _requests(document: object) -> tuple[list[int], list[_Request]]:
    """Return which requests of ``--save-detailed`` succeeded, in the order of sending, and them."""
    ttfts = numbers(at(document, "ttfts"))

    def column(name: str) -> list[Any]:
        found = at(document, name)
        fits = isinstance(found, list) and len(found) == len(ttfts)
        return found if fits else [None] * len(ttfts)

    gaps, tokens = column("itls"), numbers(column("output_lens"))
    if None in gaps or None in tokens:
        return [], []
    errors, starts = column("errors"), numbers(column("start_times"))
    good = [place for place, ttft in enumerate(ttfts) if ttft and not errors[place]]
    good.sort(key=lambda place: starts[place] or 0.0)
    return good, [
        _Request(
            ttfts[place] or 0.0,
            tuple(gap for gap in numbers(gaps[place]) if gap is not None),
            tokens[place] or 0.0,
        )
        for place in good
    ]


def _computed(
    requests: Sequence[_Request], departures: Sequence[Departure], depth: int | None
) -> dict[Metric, Reading]:
    """Compute from the requests what a summary would give, by our formulas."""

    def values(
        field: str, found: Iterable[float | None], departures: Sequence[Departure] = departures
    ) -> Reading | None:
        return of_values(field, found, depth=depth, departures=departures)

    gaps = [it.gaps_s for it in requests]
    pace = [(it.e2e_s, it.tokens) for it in requests]
    per_token = values("(ttfts + itls) / output_lens", (quotient(e2e, n) for e2e, n in pace), ())
    per_second = values("output_lens / (ttfts + itls)", (quotient(n, e2e) for e2e, n in pace), ())
    return present(
        {
            Metric.TTFT: values("ttfts", (it.ttft_s for it in requests)),
            Metric.TPOT: values("itls / (output_lens − 1)", (it.tpot_s for it in requests)),
            Metric.GAP: of_several(
                "itls", gaps, depth=depth, departures=(*departures, EMPTY_EVENTS)
            ),
            Metric.STALL: values("itls", (max(own, default=None) for own in gaps)),
            Metric.E2E: values("ttfts + itls", (it.e2e_s for it in requests), ()),
            Metric.NORMALIZED: aside(per_token),
            Metric.REQUEST_RATE: aside(per_second),
        }
    )
