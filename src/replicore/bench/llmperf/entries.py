"""One request's entry in the file of individual responses, by each mode's formulas. Pure.

Symbols: s is when the request was sent, t_1 and t_last are the arrivals of the first and the last
event with content, K is the number of events with JSON, T the tokens of the answer by the client's
tokenizer, which adds one at the beginning, and n the completion tokens by the server's ``usage``.

=========  ====================================  ==========  ===================================
mode       inter_token_latency_s                 throughput  ttft_s without content
=========  ====================================  ==========  ===================================
v2.0       (t_last - s) / T                      K / e2e     0
main       (t_last - s) / K                      T / e2e     0
neuron     (t_last - t_1) / (T - 1)              T / e2e     0
corrected  (t_last - t_1) / (n - 1)              n / e2e     null
=========  ====================================  ==========  ===================================

With content ttft_s is t_1 - s; e2e is the end of the stream - s, and 0 for an error.

A quotient by zero is null, where LLMPerf ended its thread; only v2.0 says 0, for T = 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from replicore.bench.llmperf.options import Mode
from replicore.bench.record import FailureKind, RequestRecord

# What LLMPerf writes for every failure that has no code of its own.
_NO_CODE = -1

# Tokens of a text, as the mode counts them.
Count = Callable[[str], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What LLMPerf writes of one request: its keys, in its order."""

    error_code: int | str | None
    error_msg: str
    inter_token_latency_s: float | None
    ttft_s: float | None
    end_to_end_latency_s: float
    request_output_throughput_token_per_s: float | None
    number_total_tokens: int
    number_output_tokens: int
    number_input_tokens: int


def strict_entry(record: RequestRecord, mode: Mode, count: Count) -> Entry:
    """Return the entry by the arithmetic of v2.0, main or neuron.

    Args:
        count: LLMPerf's tokenizer: the token at the beginning counts, so ``""`` has one.
    """
    failed = _failed(record)
    first, last = _content_times(record)
    e2e = 0.0 if failed else record.ended_s - record.dispatched_s
    tokens = count(record.text or "")
    counted = record.events if mode is Mode.V2 else tokens
    return Entry(
        error_code=_code(record) if failed else None,
        error_msg=_message(record) if failed else "",
        inter_token_latency_s=_strict_latency(
            first, last, mode, events=record.events, tokens=tokens
        ),
        ttft_s=first,
        end_to_end_latency_s=e2e,
        request_output_throughput_token_per_s=_quotient(counted, e2e) or 0.0,
        number_total_tokens=record.input_tokens_asked + tokens,
        number_output_tokens=tokens,
        number_input_tokens=record.input_tokens_asked,
    )


def _strict_latency(
    first: float, last: float, mode: Mode, *, events: int, tokens: int
) -> float | None:
    if mode is Mode.V2:
        return _quotient(last, tokens) or 0.0
    if mode is Mode.MAIN:
        return _quotient(last, events)
    return _quotient(last - first, tokens - 1)


def corrected_entry(record: RequestRecord, count: Count | None) -> Entry:
    """Return the entry with the definitions of docs/metrics.md.

    Args:
        count: For a server without ``usage``: the user's tokenizer, without added tokens. None
            counts the events with content instead.
    """
    failed = _failed(record)
    output = 0 if failed else _output_tokens(record, count)
    prompt = record.input_tokens if record.input_tokens is not None else record.input_tokens_asked
    e2e = 0.0 if failed else record.ended_s - record.dispatched_s
    times = record.chunk_times_s
    return Entry(
        error_code=_code(record) if failed else None,
        error_msg=_message(record) if failed else "",
        inter_token_latency_s=_quotient(times[-1] - times[0], output - 1) if times else None,
        ttft_s=times[0] - record.dispatched_s if times else None,
        end_to_end_latency_s=e2e,
        request_output_throughput_token_per_s=None if failed else _quotient(output, e2e),
        number_total_tokens=prompt + output,
        number_output_tokens=output,
        number_input_tokens=prompt,
    )


def _output_tokens(record: RequestRecord, count: Count | None) -> int:
    if record.output_tokens is not None:
        return record.output_tokens
    if count is not None and record.text is not None:
        return count(record.text)
    return len(record.chunk_times_s)


def _content_times(record: RequestRecord) -> tuple[float, float]:
    """Return first and last content, from the sending; 0 and 0 without any.

    LLMPerf sees no reasoning, so its first content is the first of the answer proper.
    """
    if record.answer_s is None:
        return 0.0, 0.0
    return record.answer_s - record.dispatched_s, record.chunk_times_s[-1] - record.dispatched_s


def _quotient(amount: float, by: float) -> float | None:
    return amount / by if by > 0 else None


def lacks_usage(record: RequestRecord) -> bool:
    """Whether all that is wrong with an answer is that the server did not count its tokens."""
    return record.failure is not None and record.failure.kind is FailureKind.NO_USAGE


def _failed(record: RequestRecord) -> bool:
    return record.failure is not None and not lacks_usage(record)


def _code(record: RequestRecord) -> int | str:
    """Return the HTTP status of an error answer, the code of an error event, or -1."""
    if record.failure is not None and record.failure.kind is FailureKind.HTTP:
        return record.status or _NO_CODE
    return _NO_CODE


def _message(record: RequestRecord) -> str:
    """Return what went wrong; never empty for an error."""
    if record.failure is None:
        return ""
    return record.failure.message or record.failure.kind.value
