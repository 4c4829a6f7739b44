"""What ``replicore bench llmperf`` and ``llm-correctness`` print and write once a run is over."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict

import typer

from replicore.bench.llmperf.block import TIMED_OUT, failure_lines, result_lines
from replicore.bench.llmperf.correctness_report import (
    correctness_lines,
    correctness_responses,
    correctness_summary,
)
from replicore.bench.llmperf.files import file_stem, write_files
from replicore.bench.llmperf.options import Mode, Options, RunOptions
from replicore.bench.llmperf.outcome import Measured
from replicore.bench.llmperf.questions import Answer
from replicore.bench.llmperf.summary import results, summary
from replicore.bench.record import BenchResult
from replicore.bench.report.notes import notes
from replicore.bench.report.table import bench_table, verdict_text
from replicore.bench.results import document, write_file
from replicore.bench.selfcheck.verdict import judge
from replicore.bench.stats.summary import summarize
from replicore.cli.console import print_line, report_console


def report(options: Options, measured: Measured, argv: Sequence[str]) -> None:
    """Print a benchmark, then write its files: what cannot be written is then not lost."""
    outcome = measured.outcome
    found = results(outcome.entries, outcome.elapsed_s)
    _print(failure_lines(outcome.entries))
    if outcome.timed_out:
        typer.echo(TIMED_OUT)
    _print(result_lines(options, found))
    if measured.result is not None and measured.result.records:
        _report_ours(options, measured.result, measured.notes, argv)
    run = options.run
    if run.results_dir is not None:
        stem = file_stem(f"{run.model}_{options.mean_input_tokens}_{options.mean_output_tokens}")
        write_files(
            run.results_dir,
            stem,
            summary(options, found, stem=stem, timestamp=int(time.time())),
            [asdict(entry) for entry in outcome.entries],
            bare_nan=options.mode is not Mode.CORRECTED,
        )


def _report_ours(
    options: Options, result: BenchResult, said: Sequence[str], argv: Sequence[str]
) -> None:
    """Print the run as `replicore bench` does, and write its file where one was asked for."""
    found = summarize(result)
    verdict = judge(result, found)
    said = [*notes(result, found), *said]
    console = report_console()
    console.print()
    console.print(bench_table(result, found))
    console.print(verdict_text(verdict), soft_wrap=True)
    for line in said:
        print_line(console, line)
    if options.result is not None:
        command = ["replicore", "bench", "llmperf", *argv]
        data = document("llmperf", result, found, command=command, notes=said, verdict=verdict)
        write_file(options.result, data)


def report_answers(options: RunOptions, found: Sequence[Answer]) -> None:
    """Print a correctness check, then write its files."""
    _print(correctness_lines(options, found))
    if options.results_dir is not None:
        stem = file_stem(f"{options.model}_correctness")
        write_files(
            options.results_dir,
            stem,
            correctness_summary(options, found, stem=stem, timestamp=int(time.time())),
            correctness_responses(options, found),
            bare_nan=False,
        )


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line)
