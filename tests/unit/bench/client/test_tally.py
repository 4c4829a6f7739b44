"""What a run has done so far."""

from __future__ import annotations

from replicore.bench.client.tally import Tally
from replicore.bench.client.tick import ReplicaTick, Tick
from tests.unit.bench.client.made import DONE, answer, call, event, text, usage


def read(tally: Tally, *parts: bytes, warmup: bool = False) -> None:
    one = answer(call(warmup=warmup), *parts, replica=b"r0")
    tally.over(one)
    tally.read(one, one.record(0.0))


def test_call_counts_by_its_reads_until_it_is_read() -> None:
    tally = Tally(total=3, warmup=0)
    one = answer(call(), text("a"), usage(40) + DONE, replica=b"r0")
    tally.over(one)
    before = tally.tick([], 1.0)
    tally.read(one, one.record(0.0))
    after = tally.tick([], 2.0)

    assert (before.done, before.output_tokens, before.recent_ttft_s) == (1, 2, ())
    assert (after.done, after.output_tokens, len(after.recent_ttft_s)) == (1, 40, 1)
    assert (after.total, after.elapsed_s) == (3, 2.0)


def test_times_to_first_token_are_told_once() -> None:
    tally = Tally(total=3, warmup=0)
    read(tally, text("a"), usage(1), DONE)

    assert len(tally.tick([], 1.0).recent_ttft_s) == 1
    assert tally.tick([], 2.0).recent_ttft_s == ()


def test_errors_are_those_of_the_records() -> None:
    tally = Tally(total=None, warmup=None)
    read(tally, text("a"), event(error={"message": "died"}), DONE)
    read(tally, text("a"), b"data: {\n\n", usage(1), DONE)  # only its record tells
    read(tally, text("a"), usage(1), DONE)

    assert tally.tick([], 1.0).errors == 2


def test_warmup_is_counted_down_and_nowhere_else() -> None:
    tally = Tally(total=5, warmup=2)
    read(tally, text("a"), usage(1), DONE, warmup=True)
    tick = tally.tick([], 1.0)

    assert (tick.warming, tick.done, tick.output_tokens, tick.replicas) == (1, 0, 0, ())


def test_warmup_of_unknown_size_is_what_is_in_flight() -> None:
    tally = Tally(total=None, warmup=None)

    assert tally.tick([call(warmup=True), call()], 1.0).warming == 1


def test_calls_in_flight_count_for_the_replica_that_answers() -> None:
    tally = Tally(total=5, warmup=1)
    read(tally, text("a"), usage(7), DONE)
    answering, warming, waiting = call(), call(warmup=True), call()
    answering.on_head(200, [(b"x-replicore-replica", b"r0")])
    answering.on_body(text("a"))
    warming.on_head(200, [(b"x-replicore-replica", b"r0")])
    warming.on_body(text("a"))
    tick: Tick = tally.tick([answering, warming, waiting], 1.0)

    assert tick.replicas == (
        ReplicaTick(name="127.0.0.1:1", in_flight=1),
        ReplicaTick(name="r0", done=1, in_flight=2, output_tokens=8),
    )
    assert (tick.in_flight, tick.output_tokens) == (3, 8)
