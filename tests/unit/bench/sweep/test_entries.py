"""What is kept of a run's requests."""

from __future__ import annotations

import msgspec

from replicore.bench.record import Failure, FailureKind, RequestRecord
from replicore.bench.stats.summary import Window
from replicore.bench.sweep.entries import Entry, Run, latencies_of
from tests.unit.bench.sweep.made import run

WINDOW = Window(start_s=1.0, end_s=5.0, steady=True)
CUT = Failure(FailureKind.CUT, "the stream ended")


def record(
    at_s: float, *, tokens: tuple[float, ...] = (1.0, 1.0, 1.0), failure: Failure | None = None
) -> RequestRecord:
    """A request with chunks 0.25, 0.3, 0.35 ... s after it was sent."""
    return RequestRecord(
        index=0,
        endpoint="http://127.0.0.1:1",
        replica="r0",
        input_tokens_asked=10,
        output_tokens_asked=len(tokens),
        intended_s=at_s,
        dispatched_s=at_s,
        ended_s=at_s + 1,
        chunk_times_s=tuple(at_s + 0.25 + 0.05 * i for i in range(len(tokens))),
        chunk_tokens=tokens,
        input_tokens=10,
        output_tokens=len(tokens),
        failure=failure,
    )


def test_latencies_are_of_requests_sent_within_the_window() -> None:
    found = latencies_of([record(0.5), record(1.0), record(4.9), record(5.0)], WINDOW)

    assert (found.ttft_s, found.tpot_s, found.e2e_s) == ((0.25,) * 2, (0.05,) * 2, (0.35,) * 2)


def test_request_that_failed_has_no_latency() -> None:
    found = latencies_of([record(2.0, failure=CUT)], WINDOW)

    assert (found.ttft_s, found.tpot_s, found.e2e_s) == ((None,), (None,), (None,))


def test_answer_of_one_token_has_no_tpot() -> None:
    found = latencies_of([record(2.0, tokens=(1.0,))], WINDOW)

    assert (found.ttft_s, found.tpot_s) == ((0.25,), (None,))


def test_run_is_read_back_as_it_was_written() -> None:
    written = run(ttft_s=[0.1, None], tpot_s=[None, None], errors={"cut": 1})

    assert msgspec.json.decode(msgspec.json.encode(written), type=Entry) == written


def test_run_of_a_cell_is_named_by_layout_load_and_repeat() -> None:
    found: Run = run("1x2", concurrency=8, repeat=2)

    assert (found.point.layout, found.point.concurrency, found.point.repeat) == ("1x2", 8, 2)
