"""A sweep for people: lines on stderr while it goes on, tables on stdout in the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from rich.console import Console

from replicore.bench.report.words import milliseconds, optional, rate
from replicore.bench.sweep.cells import median_of
from replicore.bench.sweep.entries import Failed, Run
from replicore.bench.sweep.findings import Findings
from replicore.bench.sweep.plan import Point, SweepPlan, Visit
from replicore.bench.sweep.said import headline, notes
from replicore.bench.sweep.serving import Served
from replicore.bench.sweep.table import cells_table, scaling_table, versus_table
from replicore.cli.console import print_line, report_console
from replicore.wording import pluralize

_MINUTE_S = 60.0


class SweepView:
    """Prints how a sweep goes.

    Args:
        console: Where to; stderr by default.
        clock: Seconds, from any zero.
    """

    def __init__(
        self,
        *,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._clock = clock
        self._repeats = self._left = self._made = 0
        self._started = clock()

    def begin(self, plan: SweepPlan, done: Collection[Point]) -> None:
        """Tell what will be measured."""
        points = set(plan.points())
        self._repeats = plan.repeats
        self._left = len(points.difference(done))
        self._started = self._clock()
        self._say(f"{self._left} of {len(points)} runs to make: {_sizes(plan)}")

    def starting(self, visit: Visit) -> None:
        self._say(f"{visit.layout} starts, repeat {visit.repeat + 1} of {self._repeats}")

    def serving(self, visit: Visit, served: Served) -> None:
        cores = ", ".join(f"r{index} on {cores}" for index, cores in enumerate(served.cores))
        self._say(f"{visit.layout} ready in {served.ready_s:.1f} s ({cores})")

    def measured(self, run: Run) -> None:
        self._made += 1
        ttft = optional(median_of(run.latencies.ttft_s), milliseconds)
        failed = sum(run.errors.values())
        errors = f", {failed} of {run.requests} requests failed" if failed else ""
        self._say(
            f"  {run.layout}, {run.concurrency} in flight: {rate(run.output_tokens_per_s)} "
            f"output tok/s, TTFT p50 {ttft} ms{errors}{self._to_go()}"
        )

    def failed(self, failed: Failed) -> None:
        self._say(f"{failed.layout} is left out: {failed.message}")

    def _to_go(self) -> str:
        left = self._left - self._made
        seconds = (self._clock() - self._started) / self._made * left
        return f"; {pluralize(left, 'run')} left, about {_rounded(seconds)}" if left else ""

    def _say(self, line: str) -> None:
        self.console.print(line, markup=False)


def print_findings(found: Findings) -> None:
    """Print what was found, the winner and what must be known last: that is what is read first."""
    console = report_console()
    tables = (cells_table(found), versus_table(found), scaling_table(found))
    for table in tables if found.cells else ():
        if table is not None:
            console.print(table)
    for line in (headline(found), *notes(found)):
        print_line(console, line)


def _sizes(plan: SweepPlan) -> str:
    arms = (
        f"{arm.layout}{' alone' if arm.baseline else ''} at {'/'.join(map(str, arm.concurrencies))}"
        for arm in plan.arms
    )
    return f"{', '.join(arms)} in flight, {pluralize(plan.repeats, 'time')}"


def _rounded(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < _MINUTE_S else f"{seconds / _MINUTE_S:.0f} min"
