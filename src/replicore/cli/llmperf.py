"""``replicore bench llmperf`` and ``llm-correctness``: LLMPerf's two scripts.

Their flags are LLMPerf's, so argparse reads them as it does there.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

import typer
import uvloop

from replicore.bench.client.tick import Tick
from replicore.bench.llmperf.benchmark import measure
from replicore.bench.llmperf.block import SHORT_MEAN, SHORT_PROMPTS
from replicore.bench.llmperf.correctness import ask
from replicore.bench.llmperf.files import check_directory
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
from replicore.errors import INTERRUPTED_EXIT_CODE, ReplicoreError


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
    _reports().report(options, measured, argv)
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
    _reports().report_answers(options, found)
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


def _reports() -> ModuleType:
    """Return what prints and writes: its imports take as long as all others, and can wait."""
    return import_module("replicore.cli.llmperf_report")
