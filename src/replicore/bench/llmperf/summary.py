"""LLMPerf's numbers over all requests, and its summary as one flat object. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from replicore.bench.llmperf.entries import Entry
from replicore.bench.llmperf.options import Options

VERSION = "2023-08-31"
METRICS = (
    "inter_token_latency_s",
    "ttft_s",
    "end_to_end_latency_s",
    "request_output_throughput_token_per_s",
    "number_input_tokens",
    "number_output_tokens",
)
_PERCENTILES = (25, 50, 75, 90, 95, 99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Percentiles by linear interpolation, stddev over n - 1; NaN where it is not defined.

    Attributes:
        percentiles: ``p25`` to ``p99``.
        min: A whole number for token counts.
    """

    percentiles: dict[str, float]
    mean: float
    min: float
    max: float
    stddev: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What LLMPerf reports.

    Attributes:
        spreads: By the names of ``METRICS``, over the requests without an error.
        started: Recorded requests, those with an error included.
        error_codes: How often each code came, most frequent first, as LLMPerf writes it.
        output_tokens_per_s: Tokens of requests without an error over the elapsed time.
    """

    spreads: dict[str, Spread]
    started: int
    errors: int
    error_rate: float
    error_codes: str
    output_tokens_per_s: float
    completed: int
    completed_per_min: float


def results(entries: Sequence[Entry], elapsed_s: float) -> Results:
    """Compute the numbers of ``entries``, which took ``elapsed_s`` in all."""
    good = [entry for entry in entries if entry.error_code is None]
    errors = len(entries) - len(good)
    tokens = sum(entry.number_output_tokens for entry in good)
    return Results(
        spreads={name: spread(_defined(good, name)) for name in METRICS},
        started=len(entries),
        errors=errors,
        error_rate=errors / len(entries) if entries else 0,
        error_codes=_frequency(entries),
        output_tokens_per_s=tokens / elapsed_s if elapsed_s > 0 else math.nan,
        completed=len(good),
        completed_per_min=len(good) / elapsed_s * 60 if elapsed_s > 0 else math.nan,
    )


def spread(values: Sequence[float]) -> Spread:
    """Summarise values; all is NaN where there are none, and the stddev of one value."""
    if not values:
        nothing = dict.fromkeys((f"p{which}" for which in _PERCENTILES), math.nan)
        return Spread(
            percentiles=nothing, mean=math.nan, min=math.nan, max=math.nan, stddev=math.nan
        )
    data = np.asarray(values, dtype=np.float64)
    found = np.percentile(data, _PERCENTILES).tolist()
    return Spread(
        percentiles={f"p{which}": value for which, value in zip(_PERCENTILES, found, strict=True)},
        mean=float(data.mean()),
        min=min(values),
        max=max(values),
        stddev=float(data.std(ddof=1)) if len(values) > 1 else math.nan,
    )


def _defined(entries: Sequence[Entry], name: str) -> list[float]:
    values = (getattr(entry, name) for entry in entries)
    return [value for value in values if value is not None]


def _frequency(entries: Sequence[Entry]) -> str:
    """Return how often each code came, as Python writes a dict.

    LLMPerf's codes stand in a column with a gap for each success, which makes numbers of them that
    are not whole: ``{429.0: 2}``, but ``{429: 2}`` where there was no success.
    """
    codes = [entry.error_code for entry in entries if entry.error_code is not None]
    gaps = len(codes) < len(entries) and all(isinstance(code, int) for code in codes)
    return str(
        {float(code) if gaps else code: count for code, count in Counter(codes).most_common()}
    )


def summary(options: Options, found: Results, *, stem: str, timestamp: int) -> dict[str, object]:
    """Return the summary: flat, in LLMPerf's order, the user's metadata over everything else.

    Args:
        stem: Of the two files.
        timestamp: Seconds since 1970.
    """
    run = options.run
    nested: dict[str, object] = {
        "version": VERSION,
        "name": f"{stem}_summary",
        "model": run.model,
        "mean_input_tokens": options.mean_input_tokens,
        "stddev_input_tokens": options.stddev_input_tokens,
        "mean_output_tokens": options.mean_output_tokens,
        "stddev_output_tokens": options.stddev_output_tokens,
        "num_concurrent_requests": run.concurrency,
        "additional_sampling_params": run.sampling,
        "results": _nested(found),
    }
    return with_metadata(nested, run.metadata, timestamp)


def with_metadata(
    nested: Mapping[str, object], metadata: Mapping[str, str], timestamp: int
) -> dict[str, object]:
    """Return the flat object: the user's metadata over every key, and at the end the time."""
    found = flat(nested) | dict(metadata)
    found.pop("timestamp", None)
    return found | {"timestamp": timestamp}


def _nested(found: Results) -> dict[str, object]:
    spreads = {
        name: {
            "quantiles": one.percentiles,
            "mean": one.mean,
            "min": _extreme(one.min),
            "max": _extreme(one.max),
            "stddev": one.stddev,
        }
        for name, one in found.spreads.items()
    }
    return spreads | {
        "num_requests_started": found.started,
        "error_rate": found.error_rate,
        "number_errors": found.errors,
        "error_code_frequency": found.error_codes,
        "mean_output_throughput_token_per_s": found.output_tokens_per_s,
        "num_completed_requests": found.completed,
        "num_completed_requests_per_min": found.completed_per_min,
    }


def _extreme(value: float) -> float | str:
    """Return a whole number as text: LLMPerf's are of a type that its JSON writer does not know."""
    return str(value) if isinstance(value, int) else value


def flat(nested: Mapping[str, object], *, under: str = "") -> dict[str, object]:
    """Join the keys of nested objects with ``_``."""
    found: dict[str, object] = {}
    for key, value in nested.items():
        if isinstance(value, dict):
            found |= flat(value, under=f"{under}{key}_")
        else:
            found[under + key] = value
    return found
