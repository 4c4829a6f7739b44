"""Progress: lines where nobody can redraw, a bar on a terminal."""

from __future__ import annotations

import io

from rich.console import Console

from replicore.bench.client.closed_loop import Tick
from replicore.bench.report.live import shown_progress


def tick(done: int, *, warming: int = 0, errors: int = 0) -> Tick:
    return Tick(
        done=done, total=20, warming=warming, errors=errors, output_tokens=done * 10, elapsed_s=1.0
    )


def shown(*ticks: Tick, terminal: bool = False) -> str:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=100)
    with shown_progress("bench", console=console) as progress:
        for each in ticks:
            progress(each)
    return file.getvalue()


def test_progress_without_a_terminal_is_a_line_at_each_tenth() -> None:
    lines = shown(*(tick(done) for done in range(21))).splitlines()

    assert len(lines) == 10
    assert lines[0] == "bench: 2/20 requests, 20 tokens"
    assert lines[-1] == "bench: 20/20 requests, 200 tokens"


def test_progress_counts_errors() -> None:
    assert shown(tick(4, errors=3)) == "bench: 4/20 requests, 40 tokens, 3 errors\n"


def test_progress_on_a_terminal_is_a_bar() -> None:
    text = shown(tick(0, warming=2), tick(7), terminal=True)

    assert "7/20" in text
    assert "\x1b[" in text
