"""Progress: lines where nobody can redraw, a view on a terminal."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from replicore.bench.client.tick import ReplicaTick, Tick
from replicore.bench.report.live import shown_progress

START = Tick(done=0, total=20, warming=0, in_flight=4, errors=0, output_tokens=0, elapsed_s=0.0)


def tick(done: int, **fields: Any) -> Tick:
    """One request of ten tokens a second."""
    return replace(START, done=done, output_tokens=done * 10, elapsed_s=float(done), **fields)


def shown(*ticks: Tick, terminal: bool = False, height: int = 30) -> str:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=100, height=height)
    with shown_progress("bench", console=console) as progress:
        for each in ticks:
            progress(each)
    return file.getvalue()


def test_progress_without_a_terminal_is_a_line_at_each_tenth() -> None:
    lines = shown(*(tick(done) for done in range(21))).splitlines()

    assert len(lines) == 10
    assert lines[0] == "bench: 2/20 requests, ≈10.0 tok/s, 4 in flight"
    assert lines[-1] == "bench: 20/20 requests, ≈10.0 tok/s, 4 in flight"


def test_progress_of_a_run_by_time_is_a_line_every_ten_seconds() -> None:
    lines = shown(*(tick(second, total=None) for second in range(65))).splitlines()

    assert len(lines) == 6
    assert lines[-1] == "bench: 60 requests in 1:00, ≈10.0 tok/s, 4 in flight"


def test_progress_line_tells_first_tokens_and_errors() -> None:
    line = shown(tick(1, recent_ttft_s=(0.2, 0.3, 0.9)), tick(4, errors=3))

    assert line == "bench: 4/20 requests, ≈10.0 tok/s, 4 in flight, TTFT p50 300 ms, 3 errors\n"


def test_progress_on_a_terminal_is_redrawn_and_gone_at_the_end() -> None:
    text = shown(tick(0, warming=2), tick(7), terminal=True)

    assert "7/20 requests" in text
    # Four lines each time: up to the first, and nothing below it.
    assert text.count("\x1b[4F\x1b[J") == 2
    assert text.endswith("\x1b[4F\x1b[J")


def test_progress_on_a_terminal_that_cannot_redraw_is_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "dumb")

    assert shown(tick(2), terminal=True) == "bench: 2/20 requests, 4 in flight\n"


def test_view_is_gone_when_the_run_fails() -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=100, height=30)

    def watch() -> None:
        with shown_progress("bench", console=console) as progress:
            progress(tick(1))
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        watch()

    assert file.getvalue().endswith("\x1b[J")


def test_replicas_that_a_small_terminal_has_no_room_for_are_counted() -> None:
    many = tuple(ReplicaTick(name=f"replica-{number}") for number in range(9))

    assert "and 6 more" in shown(tick(1, replicas=many), terminal=True, height=10)
