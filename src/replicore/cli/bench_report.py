"""What ``replicore bench`` prints and writes of a run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from replicore.bench.record import BenchResult
from replicore.bench.report.notes import notes, slo_notes
from replicore.bench.report.page import run_page
from replicore.bench.report.table import bench_table, latency_table, verdict_text
from replicore.bench.results import default_path, document, environment, record_lines, write_file
from replicore.bench.selfcheck.verdict import Verdict, judge
from replicore.bench.stats.summary import Objectives, Summary, summarize
from replicore.cli.console import print_line, report_console
from replicore.errors import INTERRUPTED_EXIT_CODE, ReplicoreError


def report(
    name: str,
    result: BenchResult,
    *,
    ttft_p99_s: float | None,
    tpot_p99_s: float | None,
    output: Path | None,
    html: Path | None,
    records: Path | None,
    json: bool,
) -> None:
    """Print a run and write its files.

    Raises:
        ConfigError: A file cannot be written.
        ReplicoreError: Nothing was answered.
        typer.Exit: The run was interrupted.
    """
    summary = summarize(result, slo=Objectives(ttft_s=ttft_p99_s, tpot_s=tpot_p99_s))
    run = _Run(name, result, summary, judge(result, summary))
    run.report(output=output, html=html, records=records, json=json)
    if result.interrupted:
        raise typer.Exit(INTERRUPTED_EXIT_CODE)
    if not summary.total.succeeded:
        raise ReplicoreError(f"none of the {summary.total.requests} requests was answered")


@dataclass(frozen=True, slots=True)
class _Run:
    """A run that is over, and what is said of it."""

    name: str
    result: BenchResult
    summary: Summary
    verdict: Verdict

    def report(
        self, *, output: Path | None, html: Path | None, records: Path | None, json: bool
    ) -> None:
        """Print first: a result that cannot be written is then not lost."""
        result, summary, verdict = self.result, self.summary, self.verdict
        said = [*notes(result, summary), *slo_notes(summary)]
        command = ["replicore", *sys.argv[1:]]
        data = document(
            self.name,
            result,
            summary,
            command=command,
            notes=said,
            verdict=verdict,
            records_file=records,
        )
        if json:
            sys.stdout.write(data.decode())
        else:
            self._print(said)
        path = output or default_path(self.name, result.started_at)
        if records is not None:
            write_file(records, record_lines(result))
        write_file(path, data)
        typer.echo(f"result: {path}", err=json)
        if html is not None:
            machine = environment()
            text = run_page(
                result, summary, verdict, command=command, notes=said, environment=machine
            )
            write_file(html, text.encode())
            typer.echo(f"page: {html}", err=json)

    def _print(self, said: Sequence[str]) -> None:
        console = report_console()
        console.print(bench_table(self.result, self.summary))
        console.print(latency_table(self.summary))
        console.print(verdict_text(self.verdict), soft_wrap=True)
        for line in (*said, f"seed: {self.result.workload.seed}"):
            print_line(console, line)
