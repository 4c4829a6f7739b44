"""The picture of a run, from scripted ticks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from replicore.bench.client.tick import ReplicaTick, Tick
from replicore.bench.report.pulse import Pulse
from replicore.bench.report.view import ALARM, DIM, view

START = Tick(done=0, total=20, warming=0, in_flight=4, errors=0, output_tokens=0, elapsed_s=0.0)


def tick(done: int, **fields: Any) -> Tick:
    """One request of ten tokens a second."""
    return replace(START, done=done, output_tokens=done * 10, elapsed_s=float(done), **fields)


def seen(*ticks: Tick, most: int = 10) -> list[str]:
    """Return the lines of the view after the last tick."""
    pulse = Pulse()
    for each in ticks:
        pulse.add(each)
    return ["".join(t for t, _ in line) for line in view("bench", ticks[-1], pulse, most=most)]


def test_view_before_the_first_answer_tells_what_is_waited_for() -> None:
    assert seen(replace(START, warming=2))[0] == "bench  warming up: 2 requests"
    assert seen(START)[0] == "bench  starting"


def test_view_tells_how_far_the_run_is_and_how_long_it_takes() -> None:
    head, rates, *_ = seen(tick(0), tick(10))

    assert head == f"bench  {'━' * 28}  10/20 requests  10 s, about 10 s to go"
    assert rates == "  ≈10.0 tok/s █  1.00 req/s  4 in flight  0 errors"


def test_view_of_a_run_by_time_has_no_bar() -> None:
    assert seen(tick(0, total=None), tick(75, total=None))[0] == "bench  75 requests in 1:15"


def test_view_of_hours_has_hours() -> None:
    assert seen(tick(3725, total=None))[0].endswith("in 1:02:05")


def test_view_tells_first_tokens_of_the_last_seconds() -> None:
    assert seen(tick(1))[2] == "  TTFT: none yet"
    assert seen(tick(1, recent_ttft_s=(0.2, 0.3, 0.9)))[2] == (
        "  TTFT p50 300 ms, longest 900 ms  of the last 10 s"
    )


def test_view_of_several_replicas_has_a_line_for_each() -> None:
    replicas = (
        ReplicaTick(name="replica-0", done=5, in_flight=2, output_tokens=50),
        ReplicaTick(name="replica-1", done=6, in_flight=1, errors=3, output_tokens=60),
    )
    lines = seen(START, tick(10, replicas=replicas))

    assert lines[3].split() == ["replica", "done", "in", "flight", "≈tok/s", "errors"]
    assert lines[4].split() == ["replica-0", "5", "2", "5.00", "0"]
    assert lines[5].split() == ["replica-1", "6", "1", "6.00", "3"]


def test_view_of_one_replica_does_not_repeat_it() -> None:
    lines = seen(tick(1, replicas=(ReplicaTick(name="replica-0"),)))

    assert "replica-0" not in "\n".join(lines)


def test_view_shows_no_more_replicas_than_there_is_room_for() -> None:
    many = tuple(ReplicaTick(name=f"replica-{number}") for number in range(9))
    lines = seen(tick(1, replicas=many), most=4)

    assert sum("replica-" in line for line in lines) == 4
    assert "  and 5 more" in lines


def test_view_says_that_ctrl_c_loses_nothing() -> None:
    assert seen(START)[-1] == "  Ctrl-C ends the run early and keeps what was measured"


def test_errors_stand_out_once_there_are_any() -> None:
    pulse = Pulse()
    pulse.add(START)

    calm = view("bench", START, pulse, most=1)[1][-1]
    alarmed = view("bench", replace(START, errors=2), pulse, most=1)[1][-1]

    assert (calm, alarmed) == (("0 errors", DIM), ("2 errors", ALARM))
