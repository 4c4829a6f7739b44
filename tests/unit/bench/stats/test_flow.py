"""What arrived when."""

from __future__ import annotations

import numpy as np

from replicore.bench.record import FailureKind
from replicore.bench.stats.flow import completions, input_tokens, output_tokens
from tests.unit.bench.stats.records import failed, record


def test_output_tokens_arrive_with_their_chunks() -> None:
    found = output_tokens([record(chunks=(1.0, 2.0), tokens=(1, 4)), record(chunks=(1.5,))])

    assert found.times.tolist() == [1.0, 2.0, 1.5]
    assert found.amounts.tolist() == [1.0, 4.0, 1.0]
    assert found.owners.tolist() == [0, 0, 1]


def test_output_tokens_of_failed_requests_do_not_count() -> None:
    cut = failed(FailureKind.CUT, chunks=(1.0, 2.0))
    unfinished = failed(FailureKind.INTERRUPTED, chunks=(1.0, 2.0, 3.0))

    assert output_tokens([cut, unfinished]).owners.tolist() == [1, 1, 1]


def test_input_tokens_count_at_the_first_chunk_of_an_answer() -> None:
    found = input_tokens([record(chunks=(1.0, 4.0)), record(chunks=()), failed(chunks=(1.0,))])

    assert (found.times.tolist(), found.amounts.tolist()) == ([1.0], [10.0])


def test_requests_complete_where_their_stream_ends() -> None:
    found = completions([record(ended_s=3.5), failed(ended_s=1.0)])

    assert (found.times.tolist(), found.amounts.tolist()) == ([3.5], [1.0])


def test_flow_of_some_requests_is_theirs_only() -> None:
    both = output_tokens([record(chunks=(1.0, 2.0)), record(chunks=(1.5,))])

    assert both.of(np.array([False, True])).times.tolist() == [1.5]


def test_joined_flows_have_everything() -> None:
    one = record(chunks=(1.0, 2.0))
    both = output_tokens([one]).joined(input_tokens([one]))

    assert both.amounts.tolist() == [1.0, 1.0, 10.0]


def test_flows_of_nothing_are_empty() -> None:
    for flow in (output_tokens([]), input_tokens([]), completions([])):
        assert len(flow.times) == 0
