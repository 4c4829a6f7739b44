"""``replicore bench llmperf`` and ``llm-correctness``: LLMPerf's two scripts.

Their flags are LLMPerf's, so argparse reads them as it does there.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import typer
import uvloop
from rich.console import Console

from replicore.bench.client.tick import Tick
from replicore.bench.llmperf.benchmark import measure
from replicore.bench.llmperf.block import (
    SHORT_MEAN,
    SHORT_PROMPTS,
    TIMED_OUT,
    failure_lines,
    result_lines,
)
from replicore.bench.llmperf.correctness import ask
from replicore.bench.llmperf.correctness_report import (
    correctness_lines,
    correctness_responses,
    correctness_summary,
)
from replicore.bench.llmperf.files import check_directory, file_stem, write_files
from replicore.bench.llmperf.options import (
    Mode,
    Options,
    RunOptions,
    parse_benchmark,
    parse_correctness,
)
from replicore.bench.llmperf.outcome import Measured
from replicore.bench.llmperf.progress import Bar
from replicore.bench.llmperf.questions import Answer, answers, draw_numbers
from replicore.bench.llmperf.servers import Servers, read_servers
from replicore.bench.llmperf.summary import results, summary
from replicore.bench.record import BenchResult
from replicore.bench.report.notes import notes
from replicore.bench.report.table import bench_table, verdict_text
from replicore.bench.results import document, write_file
from replicore.bench.selfcheck.verdict import judge
from replicore.bench.stats.summary import summarize
from replicore.errors import INTERRUPTED_EXIT_CODE, ConfigError, ReplicoreError

_FILE_WIDTH = 120


def llmperf(context: typer.Context) -> None:
    """Measure as LLMPerf's token_benchmark_ray.py does, with its flags and files."""
    raise typer.Exit(main(context.args))


def llm_correctness(context: typer.Context) -> None:
    """Check answers as LLMPerf's llm_correctness.py does, replica by replica."""
    raise typer.Exit(correctness_main(context.args))


def main(argv: Sequence[str]) -> int:
    """Run ``token_benchmark_ray.py``'s benchmark; return the exit code.

    Raises:
        ReplicoreError: Wrong flags, wrong variables, or no request was answered.
    """
    options = parse_benchmark(argv)
    servers = read_servers(os.environ)
    check_directory(options.run.results_dir)
    if options.mode is not Mode.CORRECTED and options.mean_input_tokens < SHORT_MEAN:
        typer.echo(SHORT_PROMPTS)
    measured = uvloop.run(_measured(options, servers))
    _report(options, measured, argv)
    outcome = measured.outcome
    return _exit_code(outcome.interrupted, outcome.succeeded, options.run.requests)


def correctness_main(argv: Sequence[str]) -> int:
    """Run ``llm_correctness.py``'s check; return the exit code.

    Raises:
        ReplicoreError: Wrong flags, wrong variables, or no request was answered.
    """
    options = parse_correctness(argv)
    servers = read_servers(os.environ)
    check_directory(options.results_dir)
    seed = secrets.randbits(32) if options.seed is None else options.seed
    numbers = draw_numbers(options.requests, len(servers.endpoints), seed)
    found, interrupted = uvloop.run(_asked(options, servers, numbers))
    _report_answers(options, found)
    answered = sum(not answer.errored for answer in found)
    return _exit_code(interrupted, answered, options.requests)


def _exit_code(interrupted: bool, answered: int, requests: int) -> int:
    if interrupted:
        return INTERRUPTED_EXIT_CODE
    if not answered:
        raise ReplicoreError(f"none of the {requests} requests was answered")
    return 0


async def _measured(options: Options, servers: Servers) -> Measured:
    with _stopped_by_ctrl_c() as stop, _bar(options.run.requests) as bar:
        return await measure(options, servers, progress=bar.show, stop=stop)


async def _asked(
    options: RunOptions, servers: Servers, numbers: Sequence[int]
) -> tuple[list[Answer], bool]:
    with _stopped_by_ctrl_c() as stop, _bar(options.requests) as bar:

        def show(tick: Tick) -> None:
            bar.show(tick.done)

        run = await ask(options, servers, numbers, progress=show, stop=stop)
    records = [one for one in run.records if not (run.stopped and one.unfinished)]
    return answers(numbers, records), run.stopped


@contextmanager
def _stopped_by_ctrl_c() -> Iterator[asyncio.Event]:
    """Yield what the first Ctrl-C sets; the second one breaks the run off."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end_early() -> None:
        stop.set()
        loop.remove_signal_handler(signal.SIGINT)

    loop.add_signal_handler(signal.SIGINT, end_early)
    try:
        yield stop
    finally:
        loop.remove_signal_handler(signal.SIGINT)


@contextmanager
def _bar(total: int) -> Iterator[Bar]:
    bar = Bar(total, sys.stderr)
    try:
        yield bar
    finally:
        bar.close()


def _report(options: Options, measured: Measured, argv: Sequence[str]) -> None:
    """Print first: a result that cannot be written is then not lost."""
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
    console = Console(width=None if sys.stdout.isatty() else _FILE_WIDTH, highlight=False)
    console.print()
    console.print(bench_table(result, found))
    console.print(verdict_text(verdict), soft_wrap=True)
    for line in said:
        console.print(line, markup=False, soft_wrap=True)
    if options.result is not None:
        command = ["replicore", "bench", "llmperf", *argv]
        data = document("llmperf", result, found, command=command, notes=said, verdict=verdict)
        _write(options.result, data)


def _write(path: Path, data: bytes) -> None:
    try:
        write_file(path, data)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}") from error


def _report_answers(options: RunOptions, found: Sequence[Answer]) -> None:
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
