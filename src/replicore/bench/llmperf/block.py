"""The block that LLMPerf prints at the end. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from replicore.bench.llmperf.entries import Entry
from replicore.bench.llmperf.options import Mode, Options
from replicore.bench.llmperf.summary import Results, Spread

TIMED_OUT = "Test timed out before all requests could be completed."
SHORT_PROMPTS = (
    "the minimum number of input tokens that will be sent is 41 "
    "because of the prompting logic right now"
)
# Means below this one get that notice.
SHORT_MEAN = 40


def failure_lines(entries: Sequence[Entry]) -> Iterator[str]:
    """Yield two lines for each failed request: the message, and the code."""
    for entry in entries:
        if entry.error_code is not None:
            yield f"Warning Or Error: {entry.error_msg}"
            yield str(entry.error_code)


def result_lines(options: Options, found: Results) -> Iterator[str]:
    """Yield the block; the old modes begin it with LLMPerf's stray backslash."""
    stray = "" if options.mode is Mode.CORRECTED else "\\"
    run = options.run
    yield f"{stray}Results for token benchmark for {run.model} queried with the {run.api} api."
    yield ""
    for name, spread in found.spreads.items():
        yield name
        yield from _spread_lines(spread)
    yield f"Number Of Errored Requests: {found.errors}"
    if found.errors:
        yield "Error Code Frequency"
        yield found.error_codes
    yield f"Overall Output Throughput: {found.output_tokens_per_s}"
    yield f"Number Of Completed Requests: {found.completed}"
    yield f"Completed Requests Per Minute: {found.completed_per_min}"


def _spread_lines(spread: Spread) -> Iterator[str]:
    values = {
        **spread.percentiles,
        "mean": spread.mean,
        "min": spread.min,
        "max": spread.max,
        "stddev": spread.stddev,
    }
    for name, value in values.items():
        yield f"    {name} = {value}"
