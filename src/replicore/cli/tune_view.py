"""A tuning for people: lines on stderr while it goes on, a table on stdout in the end."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from replicore.bench.sweep.entries import Failed, Run
from replicore.bench.sweep.plan import Visit
from replicore.bench.sweep.serving import Served
from replicore.cli.console import print_line, report_console
from replicore.hardware.cpu_sheet import CpuSheet
from replicore.tune import loop
from replicore.tune.belief import Belief
from replicore.tune.budget import Budget
from replicore.tune.said import (
    about_cores,
    believed,
    economy,
    headline,
    measured,
    notes,
    predicted,
    why_next,
)
from replicore.tune.table import trials_table
from replicore.tune.tuned import Trial, Tuned
from replicore.wording import pluralize


class TuneView:
    """Prints how a tuning goes; told by the loop, and by what deploys and measures.

    Args:
        console: Where to; stderr by default.
    """

    def __init__(self, *, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False, soft_wrap=True)

    def cores(self, sheet: CpuSheet) -> None:
        self._say(about_cores(sheet))

    def measuring_cores(self, what: str) -> None:
        self._say(f"measuring {what}")

    def note(self, text: str) -> None:
        self._say(text)

    def begin(self, layouts: int, made: int, budget: Budget) -> None:
        """Tell what is searched, and what was spent before."""
        before = f"; {pluralize(made, 'run')} made before" if made else ""
        self._say(f"{pluralize(layouts, 'layout')} can be run here; budget: {budget}{before}")

    def deciding(
        self, step: loop.Run | loop.Stop, trials: Sequence[Trial], belief: Belief | None
    ) -> None:
        if isinstance(step, loop.Stop):
            self._say(f"done: {step.why}")
        elif belief is not None:
            one = step.candidate
            self._say(f"run {len(trials) + 1}: {one.size}, {why_next(step, belief)}")
            self._say(f"  predicted: {predicted(one)}")

    def starting(self, visit: Visit) -> None:
        """Say nothing: the run has been announced."""

    def serving(self, visit: Visit, served: Served) -> None:
        cores = ", ".join(f"r{index} on {cores}" for index, cores in enumerate(served.cores))
        self._say(f"  ready in {served.ready_s:.1f} s ({cores})")

    def measured(self, run: Run) -> None:
        """Say nothing: :meth:`tried` says it next to what was predicted."""

    def failed(self, failed: Failed) -> None:
        self._say(f"  {failed.layout} is left out: {failed.message}")

    def tried(self, trial: Trial, belief: Belief | None) -> None:
        self._say(f"  measured: {measured(trial)}")
        if belief is not None:
            self._say(f"  believed now: {believed(belief)}")

    def _say(self, line: str) -> None:
        self.console.print(line, markup=False)


def print_found(tuned: Tuned) -> None:
    """Print the runs, and last the layout to use: that is what is read first."""
    console = report_console()
    if tuned.trials:
        console.print(trials_table(tuned))
    for line in (headline(tuned), economy(tuned), *notes(tuned)):
        print_line(console, line)
