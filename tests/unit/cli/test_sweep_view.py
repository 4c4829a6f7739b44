"""How a sweep is told while it goes on."""

from __future__ import annotations

import io
from collections.abc import Iterator

from rich.console import Console

from replicore.bench.sweep.entries import Failed
from replicore.bench.sweep.plan import SweptLayout, Visit
from replicore.bench.sweep.serving import Served
from replicore.cli.sweep_view import SweepView
from tests.unit.bench.sweep.made import plan, run


async def at_once() -> None:
    """Serve already."""


SERVED = Served(
    url="http://127.0.0.1:1",
    cores=("0", "1"),
    slots=8,
    ready_s=1.25,
    wait_ready=at_once,
    starts=lambda: 2,
)
VISIT = Visit(SweptLayout(2, 1), 0, (4,))


def view(*times: float) -> tuple[SweepView, io.StringIO]:
    """Return a view whose clock shows these times, one after the other."""
    file, clock = io.StringIO(), iter(times)
    console = Console(file=file, soft_wrap=True, highlight=False)
    return SweepView(console=console, clock=lambda: next(clock)), file


def lines(file: io.StringIO) -> Iterator[str]:
    return iter(file.getvalue().splitlines())


def test_beginning_tells_what_will_be_measured() -> None:
    shown, file = view(0.0, 0.0)
    shown.begin(plan("2x1,1x2", (1, 8), repeats=3, scaling=True), {run("2x1", concurrency=1).point})

    # 2x1 and 1x2 at two loads and 1x1 at one, three times; one run is there already.
    assert next(lines(file)) == (
        "14 of 15 runs to make: 2x1 at 1/8, 1x2 at 1/8, 1x1 alone at 4 in flight, 3 times"
    )


def test_visit_is_told_with_its_cores() -> None:
    shown, file = view(0.0, 0.0)
    shown.begin(plan(repeats=2), ())
    shown.starting(VISIT)
    shown.serving(VISIT, SERVED)

    assert list(lines(file))[1:] == [
        "2x1 starts, repeat 1 of 2",
        "2x1 ready in 1.2 s (r0 on 0, r1 on 1)",
    ]


def test_run_is_told_with_rate_ttft_and_the_time_to_go() -> None:
    shown, file = view(0.0, 0.0, 50.0)
    shown.begin(plan("2x1", repeats=4), ())
    shown.measured(run(rate=117.26))

    assert list(lines(file))[1] == (
        "  2x1, 4 in flight: 117 output tok/s, TTFT p50 100 ms; 3 runs left, about 2 min"
    )


def test_last_run_has_no_time_to_go() -> None:
    shown, file = view(0.0, 0.0, 50.0)
    shown.begin(plan("2x1", repeats=1), ())
    shown.measured(run(rate=117.26))

    assert list(lines(file))[1].endswith("TTFT p50 100 ms")


def test_failed_requests_are_told() -> None:
    shown, file = view(0.0, 0.0, 50.0)
    shown.begin(plan("2x1", repeats=1), ())
    shown.measured(run(ttft_s=[0.1] * 19 + [None], errors={"cut": 1}))

    assert "1 of 20 requests failed" in file.getvalue()


def test_layout_that_failed_is_told_with_the_reason() -> None:
    shown, file = view(0.0)
    shown.failed(Failed(layout="4x1", repeat=0, message="r0 exited with code 1"))

    assert file.getvalue() == "4x1 is left out: r0 exited with code 1\n"
