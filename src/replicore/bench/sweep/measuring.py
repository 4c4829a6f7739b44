"""One run of a sweep against what is served: the load, and the file of its record."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from replicore.bench.client.tick import Progress
from replicore.bench.load.workload import Workload
from replicore.bench.record import BenchResult
from replicore.bench.report.live import shown_progress
from replicore.bench.report.notes import notes
from replicore.bench.results import document, write_file
from replicore.bench.runner import run_bench
from replicore.bench.sweep.plan import Point
from replicore.bench.sweep.runner import Ask, Outcome
from replicore.bench.sweep.serving import Served

_RUNS = "runs"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadClient:
    """Sends what every run of a sweep sends.

    Attributes:
        workload: Its seed is each run's own.
        timeout: Seconds that one request may take.
        processes: Of the client.
        console: Where a run is shown while it goes on, if that is a terminal.
    """

    workload: Workload
    timeout: float
    processes: int
    console: Console

    async def measure(self, served: Served, ask: Ask) -> BenchResult:
        """Make one run in a closed loop.

        Raises:
            UpstreamError: Nothing answers, or prompts cannot be made for it.
        """
        with self._shown(ask.title) as progress:
            return await run_bench(
                [served.url],
                replace(self.workload, seed=ask.seed),
                requests=ask.requests,
                concurrency=ask.concurrency,
                timeout=self.timeout,
                processes=self.processes,
                progress=progress,
            )

    def _shown(self, title: str) -> AbstractContextManager[Progress | None]:
        """Show the run on a terminal; elsewhere a line for what it found is enough."""
        if not self.console.is_terminal:
            return nullcontext()
        return shown_progress(title, console=self.console)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFiles:
    """Writes each run's own document, as ``replicore bench`` does.

    Attributes:
        folder: That of the journal.
        name: Of the spec.
        command: What makes the sweep.
    """

    folder: Path
    name: str
    command: Sequence[str]

    def keep(self, point: Point, outcome: Outcome) -> str:
        """Write a run, and return its place from the folder.

        Raises:
            ConfigError: It cannot be written.
        """
        file = f"{_RUNS}/{point.layout}-c{point.concurrency}-r{point.repeat + 1}.json"
        data = document(
            f"{self.name} {point.layout}",
            outcome.result,
            outcome.summary,
            command=self.command,
            notes=notes(outcome.result, outcome.summary),
            verdict=outcome.verdict,
        )
        write_file(self.folder / file, data)
        return file
