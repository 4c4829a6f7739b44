"""Latencies of hand-made records: every expected number is worked out in a comment."""

from __future__ import annotations

from typing import Any

import pytest

from replicore.bench.stats.latency import (
    chunk_gaps,
    e2e,
    max_stall,
    normalized,
    tpot,
    ttft,
    user_rate,
)
from replicore.errors import UndefinedMetric
from tests.unit.bench.stats.records import record


def test_ttft_counts_from_dispatch_to_the_first_chunk() -> None:
    # 1.5 - 0.25; the wait for its place in the loop (0.05) is not the server's
    timed = record(0.25, chunks=(1.5, 2.0), intended_s=0.05, written_s=0.26, head_s=0.9)

    assert ttft(timed) == 1.25


def test_latencies_from_the_intended_start_hold_the_wait_before_dispatch() -> None:
    late = record(0.75, chunks=(1.5, 2.0), intended_s=0.25)

    assert ttft(late, since="intended") == 1.25
    assert e2e(late, since="intended") == 1.75
    # 1.75 s over 2 tokens
    assert normalized(late, since="intended") == 0.875


def test_e2e_counts_to_the_last_chunk_and_not_to_the_end_of_the_stream() -> None:
    # 2.0 - 0.25; usage and [DONE] came at 2.5
    assert e2e(record(0.25, chunks=(1.5, 2.0), ended_s=2.5)) == 1.75


def test_tpot_divides_by_the_tokens_after_the_first() -> None:
    # 3.0 - 1.0 s over 5 - 1 tokens
    assert tpot(record(chunks=(1.0, 2.0, 3.0), tokens=(1, 2, 2))) == 0.5


def test_tpot_of_tokens_that_came_in_one_chunk_is_zero() -> None:
    # 2.0 - 2.0 s over 8 - 1 tokens
    assert tpot(record(chunks=(2.0,), tokens=(8,))) == 0.0


def test_user_rate_is_the_tokens_after_the_first_over_their_time() -> None:
    # 5 - 1 tokens in 3.0 - 1.0 s
    assert user_rate(record(chunks=(1.0, 2.0, 3.0), tokens=(1, 2, 2))) == 2.0


def test_normalized_latency_is_e2e_over_all_tokens() -> None:
    # 3.0 s over 4 tokens
    assert normalized(record(chunks=(1.0, 2.0, 3.0), tokens=(1, 2, 1))) == 0.75


def test_chunk_gaps_are_the_differences_of_arrivals() -> None:
    assert chunk_gaps(record(chunks=(1.0, 1.0, 1.5, 3.0))) == (0.0, 0.5, 1.5)
    assert chunk_gaps(record(chunks=(1.0,))) == ()


def test_max_stall_is_the_longest_gap_and_not_the_wait_for_the_first_chunk() -> None:
    assert max_stall(record(chunks=(5.0, 5.5, 7.0, 7.25))) == 1.5


# SAD PATH


@pytest.mark.parametrize("tokens", [0, 1, None])
def test_tpot_of_fewer_than_two_tokens_is_undefined(tokens: int | None) -> None:
    with pytest.raises(UndefinedMetric, match="fewer than two output tokens"):
        tpot(record(chunks=(1.0,), output_tokens=tokens))


@pytest.mark.parametrize("metric", [ttft, e2e, tpot, user_rate, normalized, max_stall])
def test_latency_without_content_is_undefined(metric: Any) -> None:
    with pytest.raises(UndefinedMetric, match="request 7"):
        metric(record(chunks=(), index=7, output_tokens=4))


def test_user_rate_of_tokens_that_came_at_once_is_undefined() -> None:
    with pytest.raises(UndefinedMetric, match="all its tokens at one time"):
        user_rate(record(chunks=(2.0,), tokens=(8,)))


def test_normalized_latency_without_tokens_is_undefined() -> None:
    with pytest.raises(UndefinedMetric, match="no output tokens"):
        normalized(record(output_tokens=0))
