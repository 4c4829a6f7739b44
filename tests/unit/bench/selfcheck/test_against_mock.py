from __future__ import annotations

import pytest

from replicore.bench.load.workload import Api
from replicore.bench.record import Failure, FailureKind, RequestRecord
from replicore.bench.selfcheck.against_mock import Truth, found_in, mock_sessions, truth_of
from replicore.bench.selfcheck.mock.account import Account
from replicore.bench.selfcheck.mock.answers import read_asked

TRUTH = Truth(ttft_p50_s=0.05, ttft_p99_s=0.051, gap_p99_s=0.01)


def record(
    *chunks_s: float, dispatched_s: float = 0.0, lags_s: tuple[float, ...] = (), ok: bool = True
) -> RequestRecord:
    return RequestRecord(
        index=0,
        endpoint="http://127.0.0.1:1",
        replica="127.0.0.1:1",
        input_tokens_asked=1,
        output_tokens_asked=len(chunks_s),
        intended_s=dispatched_s,
        dispatched_s=dispatched_s,
        ended_s=9.0,
        chunk_times_s=chunks_s,
        chunk_lags_s=lags_s,
        failure=None if ok else Failure(FailureKind.CUT, "cut"),
    )


def test_errors_are_what_was_measured_less_what_was_sent() -> None:
    # TTFT 0.052 for a true 0.05; gaps 0.01, 0.01 and 0.02 for a true 0.01.
    found = found_in([record(1.052, 1.062, 1.072, 1.092, dispatched_s=1.0)], TRUTH)

    assert found is not None
    assert found.read.ttft_s == pytest.approx(0.002)
    assert found.read.ttft_p99_s == pytest.approx(0.002 - 0.001)
    # The p99 of (0.01, 0.01, 0.02): 98 % of the way from the second to the third.
    assert found.read.gap_p99_s == pytest.approx(0.01 * 0.98)
    assert found.chunks_per_s == pytest.approx(4 / 0.092)


def test_without_stamps_there_are_only_the_errors_of_a_reader() -> None:
    found = found_in([record(0.05, 0.06)], TRUTH)

    assert found is not None
    assert (found.stamped, found.read_lag_p99_s) == (None, None)
    assert found.best is found.read


def test_with_stamps_errors_are_told_both_ways() -> None:
    found = found_in([record(0.05, 0.06, lags_s=(0.001, 0.003))], TRUTH)

    assert found is not None
    assert found.stamped is not None
    assert found.best is found.stamped
    assert found.stamped.ttft_s == pytest.approx(0.0)
    assert found.read.ttft_s == pytest.approx(0.001)
    assert found.read.gap_p99_s == pytest.approx(0.002)
    assert found.read_lag_p99_s == pytest.approx(0.001 + 0.99 * 0.002)


def test_failed_requests_and_those_of_one_chunk_tell_nothing() -> None:
    assert found_in([record(0.05, 0.06, ok=False)], TRUTH) is None
    assert found_in([record(0.05)], TRUTH) is None
    assert found_in([], TRUTH) is None


def test_truth_is_what_the_mock_sent() -> None:
    account = Account()
    account.ttft.add(0.0625)
    account.gap.add(0.5)
    truth = truth_of(account.report(cpu_s=0.0))

    assert truth == Truth(ttft_p50_s=0.0625, ttft_p99_s=0.0625, gap_p99_s=0.5)


@pytest.mark.parametrize("api", list(Api))
def test_bodies_ask_the_mock_for_what_was_given(api: Api) -> None:
    (session,) = mock_sessions(api, requests=1, input_tokens=40, output_tokens=100)
    body = session.jobs[0].body
    assert isinstance(body, bytes)
    asked = read_asked(body)

    assert (asked.input_tokens, asked.output_tokens) == (40, 100)
    assert asked.stream
    assert asked.usage


def test_sessions_are_counted_from_zero_and_no_two_are_the_same() -> None:
    sessions = mock_sessions(Api.COMPLETIONS, requests=3, input_tokens=4, output_tokens=2)

    assert [session.index for session in sessions] == [0, 1, 2]
    assert len({session.jobs[0].body for session in sessions}) == 3
