"""The order in which the old modes send, and what they count."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from replicore.bench.llmperf.launch import Launched, in_lanes, in_rounds
from replicore.bench.llmperf.prompts import Prompt
from tests.unit.bench.llmperf.made import run_options
from tests.unit.bench.llmperf.virtual import FakeSender, run_virtual

PROMPT = Prompt("text", 100, 8)


def rounds(sender: FakeSender, draw: Callable[[], Prompt] = lambda: PROMPT, **run: Any) -> Launched:
    return run_virtual(in_rounds(sender, draw, run_options(**run), lambda _: None))


def lanes(sender: FakeSender, **run: Any) -> Launched:
    given = run_options(**run)
    prompts = [PROMPT] * given.requests
    return run_virtual(in_lanes(sender, prompts, given, lambda _: None))


def indices(found: Launched) -> list[int]:
    return [record.index for record in found.records]


def test_round_begins_only_when_all_requests_of_the_one_before_are_back() -> None:
    sender = FakeSender(lambda index: 1.0 + index % 3)
    found = rounds(sender, concurrency=3, requests=6)

    assert [at for at, _, _ in sender.sent] == [0.0, 0.0, 0.0, 3.0, 3.0, 3.0]
    assert found.elapsed_s == 6.0


def test_round_goes_to_one_server_as_a_whole() -> None:
    sender = FakeSender(lambda index: 1.0)
    rounds(sender, concurrency=2, requests=6)

    assert [turn for _, _, turn in sender.sent] == [0, 0, 1, 1, 2, 2]


def test_rounds_overshoot_to_a_multiple_of_the_concurrency() -> None:
    sender = FakeSender(lambda index: 1.0)

    assert indices(rounds(sender, concurrency=4, requests=10)) == list(range(12))


def test_rounds_stop_the_clock_before_they_collect_what_is_in_flight() -> None:
    sender = FakeSender(lambda index: 5.0)

    def slow_draw() -> Prompt:
        sender.drawn_s += 1.0
        return PROMPT

    found = rounds(sender, slow_draw, concurrency=10, requests=10, timeout_s=3.0)

    assert found.timed_out
    assert (indices(found), found.elapsed_s) == ([0, 1, 2], 3.0)


def test_rounds_end_when_the_run_is_ended() -> None:
    sender = FakeSender(lambda index: 1.0)
    sender.stop_at_s = 2.0
    found = rounds(sender, concurrency=2, requests=100)

    assert (len(found.records), found.timed_out) == (4, False)


def test_lane_begins_with_its_own_prompt_and_goes_on_by_the_concurrency() -> None:
    sender = FakeSender(lambda index: 1.0 + index / 100)
    lanes(sender, concurrency=3, requests=9)

    assert [index for _, index, turn in sender.sent if turn == 0] == [0, 1, 2]
    assert [index for _, index, turn in sender.sent if turn == 1] == [3, 4, 5]


def test_lane_begins_with_server_zero_and_goes_on_by_one() -> None:
    sender = FakeSender(lambda index: 1.0)
    lanes(sender, concurrency=2, requests=6)

    assert [turn for at, _, turn in sender.sent if at == 0.0] == [0, 0]
    assert [turn for at, _, turn in sender.sent if at == 1.0] == [1, 1]


def test_lanes_count_the_first_to_come_back_and_throw_the_rest_away() -> None:
    sender = FakeSender(lambda index: 10.0 if index == 0 else 1.0)
    found = lanes(sender, concurrency=2, requests=4)

    # the slow request 0 is back at 10 s, after four others were: a duplicate among them
    assert indices(found) == [1, 3, 1, 3]
    assert found.elapsed_s == 10.0


def test_lanes_with_as_many_requests_as_lanes_send_almost_twice_as_many() -> None:
    sender = FakeSender(lambda index: 1.0)
    found = lanes(sender, concurrency=10, requests=10)

    assert (len(sender.sent), len(found.records), found.elapsed_s) == (19, 10, 2.0)


def test_lanes_time_out_only_between_requests() -> None:
    sender = FakeSender(lambda index: 4.0)
    found = lanes(sender, concurrency=1, requests=5, timeout_s=6.0)

    assert found.timed_out
    assert (indices(found), found.elapsed_s) == ([0, 1], 8.0)


def test_progress_is_told_after_every_counted_request() -> None:
    told: list[int] = []
    sender = FakeSender(lambda index: 1.0 + index / 10)
    run = run_options(concurrency=2, requests=3)
    run_virtual(in_lanes(sender, [PROMPT] * 3, run, told.append))

    assert told == [1, 2, 3]
