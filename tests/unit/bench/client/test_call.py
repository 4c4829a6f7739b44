"""What a call makes of the bytes it is given, and of the times that come with them."""

from __future__ import annotations

import pytest

from replicore.bench.client.call import Call
from replicore.bench.record import FailureKind
from replicore.errors import UpstreamError
from replicore.http.stamped import Arrival
from tests.unit.bench.client.made import DONE, answer, call, event, text, usage


class Reads(Arrival):
    """An arrival that a test sets."""

    __slots__ = ()

    def at(self, time: float, lag: float | None = None) -> None:
        self.time, self.lag = time, lag


def test_chunks_have_the_stamps_and_lags_of_the_reads_that_completed_them() -> None:
    reads = Reads()
    one = call(reads)
    reads.at(11.0, 0.5)
    one.on_head(200, [])
    one.on_body(text("a") + text("b")[:9])
    reads.at(12.0, 0.25)
    one.on_body(text("b")[9:] + usage(2) + DONE)
    one.on_end()
    record = one.record(10.0)

    assert record.head_s == 1.0
    assert record.chunk_times_s == (1.0, 2.0)
    assert record.chunk_lags_s == (0.5, 0.25)


@pytest.mark.parametrize(
    ("lags", "recorded"), [((None, None), ()), ((None, 0.5), (0.0, 0.5)), ((0.0, 0.0), (0.0, 0.0))]
)
def test_read_without_a_stamp_has_no_lag(
    lags: tuple[float | None, ...], recorded: tuple[float, ...]
) -> None:
    reads = Reads()
    one = call(reads)
    one.on_head(200, [])
    for lag in lags:
        reads.at(11.0, lag)
        one.on_body(text("a"))
    one.on_end()

    assert one.record(10.0).chunk_lags_s == recorded


def test_answer_names_its_replica_and_a_call_without_one_its_endpoint() -> None:
    assert answer(call(), DONE, replica=b"r1").record(0.0).replica == "r1"
    assert answer(call(), DONE).record(0.0).replica == "127.0.0.1:1"


def test_call_is_over_once_whatever_comes_after() -> None:
    overs: list[Call] = []
    one = answer(call(on_over=overs.append), text("a"), usage(1), DONE)
    one.on_error(UpstreamError("too late"))
    one.give_up(FailureKind.TIMEOUT, "too late")

    assert overs == [one]
    assert one.is_over
    assert one.record(0.0).succeeded


def test_text_is_the_answers_without_reasoning() -> None:
    thought = event(choices=[{"index": 0, "delta": {"reasoning_content": "hm"}}])
    one = answer(call(), thought, text("a"), text("b"), usage(3), DONE)

    assert one.text == "ab"
    assert one.record(0.0, keep_text=True).text == "ab"


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param((text("a"),), id="without an end"),
        pytest.param((text("a"), event(error={"message": "died"}), DONE), id="error in the stream"),
        pytest.param((), id="nothing"),
    ],
)
def test_answer_that_does_not_end_well_failed_before_it_is_read(parts: tuple[bytes, ...]) -> None:
    one = answer(call(), *parts)

    assert one.failed
    assert not one.record(0.0).succeeded


def test_end_mark_over_two_reads_is_no_failure() -> None:
    one = answer(call(), text("a") + usage(1) + DONE[:9], DONE[9:])

    assert not one.failed
    assert one.record(0.0).succeeded


def test_status_is_a_failure_before_it_is_read() -> None:
    one = call()
    one.on_head(503, [])
    one.on_body(b'{"error": {"message": "busy"}}')
    one.on_end()
    failure = one.record(0.0).failure

    assert one.failed
    assert failure is not None
    assert (failure.kind, failure.message) == (FailureKind.HTTP, "status 503: busy")
