"""``replicore bench``: measure a running deployment, or any servers with OpenAI's API."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console

from replicore.bench.load.workload import Api, Lengths, Workload
from replicore.bench.record import BenchResult
from replicore.bench.report.live import shown_progress
from replicore.bench.report.table import bench_table, notes, slo_notes
from replicore.bench.results import default_path, document, record_lines, write_file
from replicore.bench.runner import run_bench
from replicore.bench.stats.summary import Summary, summarize
from replicore.deploy.control import find, status
from replicore.deploy.state import state_root
from replicore.errors import (
    INTERRUPTED_EXIT_CODE,
    ConfigError,
    DeploymentError,
    ReplicoreError,
)
from replicore.spec import Spec, WorkloadSpec, load_spec
from replicore.units import parse_duration

# Without a deployment nobody tells how many slots there are.
_URL_CONCURRENCY = 4
# Fewer requests than this per place of the loop are mostly its start and its end.
_REQUESTS_PER_PLACE = 10
_FILE_WIDTH = 120

SpecPath = Annotated[
    Path | None,
    typer.Argument(metavar="[SPEC]", help="Names the deployment, and the workload."),
]
Url = Annotated[
    str | None, typer.Option(metavar="URL[;URL...]", help="Servers to measure instead.")
]
Requests = Annotated[
    int | None, typer.Option("-n", "--requests", help="Requests to measure, warm-up not counted.")
]
Concurrency = Annotated[
    int | None,
    typer.Option("-c", "--concurrency", help="Requests in flight; all slots, or 4 with --url."),
]
InputTokens = Annotated[int | None, typer.Option(help="Mean input length.")]
InputStddev = Annotated[int | None, typer.Option(help="Standard deviation of it.")]
OutputTokens = Annotated[int | None, typer.Option(help="Mean output length.")]
OutputStddev = Annotated[int | None, typer.Option(help="Standard deviation of it.")]
ApiName = Annotated[Api, typer.Option(help="Route; chat sends text of about the asked length.")]
ModelName = Annotated[
    str | None, typer.Option("--model", help="Name to ask for; the first that is served.")
]
Seed = Annotated[int | None, typer.Option(help="Of lengths and prompts; a new one each run.")]
Warmup = Annotated[
    int | None, typer.Option(help="Requests before the measured ones; as many as are in flight.")
]
Timeout = Annotated[str, typer.Option(help="Longest time of one request.")]
IgnoreEos = Annotated[
    bool, typer.Option(help="Whether outputs are as long as was asked, whatever the model says.")
]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", help="Result file; one under ./results.")
]
Records = Annotated[
    Path | None, typer.Option(help="Write the requests there, one JSON object a line.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]


def bench(
    spec: SpecPath = None,
    url: Url = None,
    requests: Requests = None,
    concurrency: Concurrency = None,
    input_tokens: InputTokens = None,
    input_stddev: InputStddev = None,
    output_tokens: OutputTokens = None,
    output_stddev: OutputStddev = None,
    api: ApiName = Api.COMPLETIONS,
    model: ModelName = None,
    seed: Seed = None,
    warmup: Warmup = None,
    timeout: Timeout = "10m",
    ignore_eos: IgnoreEos = True,
    output: Output = None,
    records: Records = None,
    json: Json = False,
) -> None:
    """Measure a running deployment, in all and per replica."""
    flags = {
        "workload.requests": requests,
        "workload.concurrency": concurrency,
        "workload.seed": seed,
        "workload.input_tokens.mean": input_tokens,
        "workload.input_tokens.stddev": input_stddev,
        "workload.output_tokens.mean": output_tokens,
        "workload.output_tokens.stddev": output_stddev,
    }
    given = {key: str(value) for key, value in flags.items() if value is not None}
    loaded = load_spec(spec, environ=os.environ, overrides=given)
    target = _targets_of(url) if url is not None else _deployment(loaded)
    plan = _Plan(
        target=target,
        workload=_workload(loaded.workload, api=api, ignore_eos=ignore_eos),
        concurrency=loaded.workload.concurrency or target.slots,
        requests=_requests(loaded.workload, loaded.workload.concurrency or target.slots),
        model=model,
        warmup=warmup,
        timeout=_seconds(timeout),
    )
    result = uvloop.run(_measure(plan))
    summary = summarize(result)
    objectives = slo_notes(
        result, summary, ttft_p99_s=loaded.slo.ttft_p99, tpot_p99_s=loaded.slo.tpot_p99
    )
    said = [*notes(result, summary), *objectives]
    _report(target.name, result, summary, said, output=output, records=records, json=json)
    if result.interrupted:
        raise typer.Exit(INTERRUPTED_EXIT_CODE)
    if not summary.total.succeeded:
        raise ReplicoreError(f"none of the {summary.total.requests} requests was answered")


@dataclass(frozen=True, slots=True)
class _Target:
    """What is measured.

    Attributes:
        name: For the result file.
        slots: Default number of requests in flight.
    """

    name: str
    urls: tuple[str, ...]
    slots: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    target: _Target
    workload: Workload
    requests: int
    concurrency: int
    model: str | None
    warmup: int | None
    timeout: float


def _targets_of(url: str) -> _Target:
    urls = tuple(part.strip() for part in url.split(";") if part.strip())
    if not urls:
        raise ConfigError(f'--url: "{url}" names no server', hint='--url "http://host:port"')
    return _Target("url", urls, _URL_CONCURRENCY)


def _deployment(spec: Spec) -> _Target:
    """Return the running deployment of the spec's name; without a name, the only one there is."""
    name = spec.name if "name" in spec.model_fields_set else None
    try:
        found = status(find(state_root(), name))
    except DeploymentError as error:
        hint = "`replicore up` starts a deployment; `--url` measures any other server"
        raise DeploymentError(error.message, hint=hint) from None
    layout = found.layout
    return _Target(found.name, (found.url,), layout.replicas * layout.batch_size)


def _seconds(timeout: str) -> float:
    try:
        return parse_duration(timeout)
    except ConfigError as error:
        raise ConfigError(f"--timeout: {error.message}") from None


def _workload(spec: WorkloadSpec, *, api: Api, ignore_eos: bool) -> Workload:
    return Workload(
        input_tokens=Lengths(spec.input_tokens.mean, spec.input_tokens.stddev),
        output_tokens=Lengths(spec.output_tokens.mean, spec.output_tokens.stddev),
        seed=secrets.randbits(32) if spec.seed is None else spec.seed,
        api=api,
        ignore_eos=ignore_eos,
    )


def _requests(spec: WorkloadSpec, concurrency: int) -> int:
    """Return what was asked for, else enough for the concurrency."""
    if "requests" in spec.model_fields_set:
        return spec.requests
    return max(spec.requests, _REQUESTS_PER_PLACE * concurrency)


async def _measure(plan: _Plan) -> BenchResult:
    """Run the benchmark; the first Ctrl-C ends it early, the second one breaks it off."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end_early() -> None:
        stop.set()
        loop.remove_signal_handler(signal.SIGINT)

    loop.add_signal_handler(signal.SIGINT, end_early)
    with shown_progress("bench") as progress:
        return await run_bench(
            plan.target.urls,
            plan.workload,
            requests=plan.requests,
            concurrency=plan.concurrency,
            model=plan.model,
            warmup=plan.warmup,
            timeout=plan.timeout,
            progress=progress,
            stop=stop,
        )


def _report(
    name: str,
    result: BenchResult,
    summary: Summary,
    said: Sequence[str],
    *,
    output: Path | None,
    records: Path | None,
    json: bool,
) -> None:
    """Print first: a result that cannot be written is then not lost."""
    data = document(name, result, summary, command=_command(), notes=said, records_file=records)
    path = output or default_path(name, result.started_at)
    if json:
        sys.stdout.write(data.decode())
    else:
        _print(result, summary, said)
    if records is not None:
        _write(records, record_lines(result))
    _write(path, data)
    typer.echo(f"result: {path}", err=json)


def _command() -> Sequence[str]:
    return ["replicore", *sys.argv[1:]]


def _write(path: Path, data: bytes) -> None:
    try:
        write_file(path, data)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}") from error


def _print(result: BenchResult, summary: Summary, said: Sequence[str]) -> None:
    console = Console(width=None if sys.stdout.isatty() else _FILE_WIDTH, highlight=False)
    console.print(bench_table(result, summary))
    for line in (*said, f"seed: {result.workload.seed}"):
        console.print(line, markup=False, soft_wrap=True)
