"""What the correctness check says: LLMPerf's files and lines, and a line a replica. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from replicore.bench.llmperf.options import RunOptions
from replicore.bench.llmperf.questions import Answer, by_replica, plain, question, sampling_of
from replicore.bench.llmperf.summary import VERSION, with_metadata

# The most numbers that are named where replicas differ.
_SHOWN = 5


def correctness_summary(
    options: RunOptions, found: Sequence[Answer], *, stem: str, timestamp: int
) -> dict[str, object]:
    """Return the flat summary, in LLMPerf's order."""
    errors = sum(answer.errored for answer in found)
    mismatched = sum(answer.mismatched for answer in found)
    nested: dict[str, object] = {
        "version": VERSION,
        "name": f"{stem}_summary",
        "number_errors": errors,
        "num_mismatched_requests": mismatched,
        "error_rate": _rate(errors, found),
        "mismatch_rate": _rate(mismatched, found),
        "num_completed_requests": len(found),
        "num_non_errored_requests": len(found) - errors,
        "model": options.model,
        "num_concurrent_requests": options.concurrency,
        "additional_sampling_params": options.sampling,
        "llm_api": options.api,
    }
    return with_metadata(nested, options.metadata, timestamp)


def _rate(count: int, of: Sequence[Answer]) -> float:
    return count / len(of) if of else 0.0


def correctness_responses(options: RunOptions, found: Sequence[Answer]) -> list[dict[str, object]]:
    """Return the individual responses; who answered is beside the number that was asked for."""
    return [
        {
            "metrics": asdict(answer.entry),
            "generated_text": answer.record.text or "",
            "request_config": {
                "model": options.model,
                "prompt": [question(answer.number), 0],
                "sampling_params": sampling_of(options),
                "llm_api": options.api,
                "metadata": {"rnd_number": answer.number, "replica": answer.record.replica},
            },
        }
        for answer in found
    ]


def correctness_lines(options: RunOptions, found: Sequence[Answer]) -> Iterator[str]:
    """Yield what LLMPerf prints, and how each replica did."""
    yield "Mismatched and errored requests."
    for answer in found:
        if answer.errored:
            yield f"    The request errored: {answer.entry.error_code}, {answer.entry.error_msg} "
        elif answer.mismatched:
            text = plain(answer.record.text or "").replace("\n", " ")
            yield f"    mismatched request: {text}, expected: {answer.number}"
    yield ""
    errors = sum(answer.errored for answer in found)
    mismatched = sum(answer.mismatched for answer in found)
    asked = f"{options.model} queried with the {options.api} api"
    yield f"Results for llm correctness test for {asked}."
    yield f"Errors: {errors}, Error rate: {_rate(errors, found)}"
    yield f"Mismatched: {mismatched}, Mismatch rate: {_rate(mismatched, found)}"
    yield f"Completed: {len(found)}"
    yield f"Completed without errors: {len(found) - errors}"
    yield from replica_lines(found)


def replica_lines(found: Sequence[Answer]) -> Iterator[str]:
    """Yield a line for each replica; one that answers otherwise than the others is named so."""
    yield ""
    for row in by_replica(found):
        line = f"{row.replica}: {row.asked} asked, {row.mismatched} mismatched, {row.errors} errors"
        yield f"{line}, {len(row.differing)} unlike other replicas{_named(row.differing)}"


def _named(numbers: Sequence[int]) -> str:
    if not numbers:
        return ""
    more = ", ..." if len(numbers) > _SHOWN else ""
    return f" ({', '.join(map(str, numbers[:_SHOWN]))}{more})"
