"""``replicore bench``: measure a running deployment, or any servers with OpenAI's API."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Literal

import typer
import uvloop

from replicore.bench.load.arrivals import Load
from replicore.bench.load.data.files import describe
from replicore.bench.load.lengths import Lengths
from replicore.bench.load.options import parse_arrivals, parse_lengths
from replicore.bench.load.workload import Api, Prefixes, Turns, Workload
from replicore.bench.record import BenchResult
from replicore.bench.report.live import shown_progress
from replicore.bench.runner import run_bench
from replicore.deploy.control import find, status
from replicore.deploy.state import state_root
from replicore.errors import (
    ConfigError,
    DeploymentError,
)
from replicore.spec import Spec, WorkloadSpec, load_spec
from replicore.spec.tables import Lengths as LengthsSpec
from replicore.units import parse_duration
from replicore.wording import quoted

# Without a deployment nobody tells how many slots there are.
_URL_CONCURRENCY = 4
# Fewer requests than this per place of the loop are mostly its start and its end.
_REQUESTS_PER_PLACE = 10

SpecPath = Annotated[
    Path | None,
    typer.Argument(metavar="SPEC", help="Names the deployment, and the workload."),
]
Url = Annotated[
    str | None, typer.Option(metavar="URL[;URL...]", help="Servers to measure instead.")
]
Dispatch = Annotated[
    Literal["least_in_flight", "round_robin", "sticky"],
    typer.Option(help="Which of several servers is next; sticky keeps a session at one."),
]
ModelName = Annotated[
    str | None, typer.Option("--model", help="Name to ask for; the first that is served.")
]
ApiKey = Annotated[
    str | None, typer.Option(help="Sent as a bearer token.", envvar="OPENAI_API_KEY")
]
ApiName = Annotated[Api, typer.Option(help="Route that is measured.")]
Requests = Annotated[
    int | None, typer.Option("-n", "--requests", help="Requests to measure, warm-up not counted.")
]
Duration = Annotated[str | None, typer.Option(help="Send for so long instead, as in 60s.")]
Concurrency = Annotated[
    int | None,
    typer.Option(
        "-c",
        "--concurrency",
        help="Requests in flight; all slots, or 4 with --url. With --arrivals: at most so many.",
    ),
]
ArrivalsText = Annotated[
    str | None,
    typer.Option(
        "--arrivals",
        help="Open loop: 10/s, poisson:10, gamma:10:0.5, ramp:1..50:60s, trace:FILE@2x.",
    ),
]
Warmup = Annotated[
    int | None, typer.Option(help="Requests before the measured ones; as many as are in flight.")
]
Timeout = Annotated[str, typer.Option(help="Longest time of one request.")]
Processes = Annotated[int, typer.Option(min=1, help="Of the client, where one is not enough.")]
InputTokens = Annotated[
    str | None,
    typer.Option(help="Prompt lengths: 128, 128±32, uniform:64..256, file:FILE."),
]
OutputTokens = Annotated[str | None, typer.Option(help="Answer lengths, in the same words.")]
Data = Annotated[
    Path | None,
    typer.Option(help="Take requests from ShareGPT JSON, JSON lines with prompts, or a trace."),
]
TurnsText = Annotated[
    str | None, typer.Option("--turns", help="Requests of a session: 4, uniform:2..6.")
]
Pause = Annotated[str, typer.Option(help="Before each further turn of a session.")]
SharedPrefixes = Annotated[
    str | None,
    typer.Option(metavar="COUNT:TOKENS", help="System prompts that sessions share."),
]
TokenizerPath = Annotated[
    str | None,
    typer.Option("--tokenizer", metavar="FILE", help="tokenizer.json or GGUF; else the server."),
]
Seed = Annotated[int | None, typer.Option(help="Of lengths and prompts; a new one each run.")]
IgnoreEos = Annotated[
    bool, typer.Option(help="Whether outputs are as long as was asked, whatever the model says.")
]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", help="Result file; one under ./results.")
]
Html = Annotated[Path | None, typer.Option(help="Write the run as a page, with charts.")]
Records = Annotated[
    Path | None, typer.Option(help="Write the requests there, one JSON object a line.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
Calibrate = Annotated[
    bool, typer.Option(help="Measure the client's own errors afterwards, at this load.")
]


def bench(
    spec: SpecPath = None,
    url: Url = None,
    dispatch: Dispatch = "least_in_flight",
    model: ModelName = None,
    api_key: ApiKey = None,
    api: ApiName = Api.COMPLETIONS,
    requests: Requests = None,
    duration: Duration = None,
    concurrency: Concurrency = None,
    arrivals: ArrivalsText = None,
    warmup: Warmup = None,
    timeout: Timeout = "10m",
    processes: Processes = 1,
    input_tokens: InputTokens = None,
    output_tokens: OutputTokens = None,
    data: Data = None,
    turns: TurnsText = None,
    pause: Pause = "0s",
    shared_prefixes: SharedPrefixes = None,
    tokenizer: TokenizerPath = None,
    seed: Seed = None,
    ignore_eos: IgnoreEos = True,
    output: Output = None,
    html: Html = None,
    records: Records = None,
    json: Json = False,
    calibrate: Calibrate = True,
) -> None:
    """Measure a running deployment, in all and per replica.

    `replicore bench selftest` measures the client itself, `replicore bench llmperf` takes
    LLMPerf's flags and writes its files, `replicore bench llm-correctness` compares replicas'
    answers.
    """
    flags = {
        "workload.requests": requests,
        "workload.concurrency": concurrency,
        "workload.seed": seed,
    }
    given = {key: str(value) for key, value in flags.items() if value is not None}
    loaded = load_spec(spec, environ=os.environ, overrides=given)
    target = _targets_of(url) if url is not None else _deployment(loaded)
    load = _load(loaded.workload, concurrency, arrivals, slots=target.slots)
    seconds = None if duration is None else _seconds("--duration", duration)
    workload = Workload(
        input_tokens=_lengths("--input-tokens", input_tokens, loaded.workload.input_tokens),
        output_tokens=_lengths("--output-tokens", output_tokens, loaded.workload.output_tokens),
        seed=secrets.randbits(32) if loaded.workload.seed is None else loaded.workload.seed,
        api=api,
        ignore_eos=ignore_eos,
        turns=Turns(count=_lengths("--turns", turns, None), pause_s=_seconds("--pause", pause)),
        prefixes=_prefixes(shared_prefixes),
        data=None if data is None else describe(data),
        tokenizer=tokenizer,
    )
    plan = _Plan(
        target=target,
        workload=workload,
        load=load,
        requests=_requests(loaded.workload, load, workload, seconds),
        duration_s=seconds,
        dispatch=dispatch,
        model=model,
        api_key=api_key,
        warmup=warmup,
        timeout=_seconds("--timeout", timeout),
        processes=processes,
        calibrate=calibrate,
    )
    result = uvloop.run(_measure(plan))
    reporting = import_module(
        "replicore.cli.bench_report"
    )  # the first request does not wait for it
    reporting.report(
        target.name,
        result,
        ttft_p99_s=loaded.slo.ttft_p99,
        tpot_p99_s=loaded.slo.tpot_p99,
        output=output,
        html=html,
        records=records,
        json=json,
    )


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
    load: Load
    requests: int | None
    duration_s: float | None
    dispatch: str
    model: str | None
    api_key: str | None
    warmup: int | None
    timeout: float
    processes: int
    calibrate: bool


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


def _seconds(option: str, duration: str) -> float:
    try:
        return parse_duration(duration)
    except ConfigError as error:
        raise ConfigError(f"{option}: {error.message}") from None


def _lengths(option: str, text: str | None, default: LengthsSpec | None) -> Lengths:
    if text is None:
        return Lengths(1) if default is None else Lengths(default.mean, default.stddev)
    try:
        return parse_lengths(text)
    except ConfigError as error:
        raise ConfigError(f"{option}: {error.message}") from None


def _prefixes(text: str | None) -> Prefixes:
    if text is None:
        return Prefixes()
    count, _, tokens = text.partition(":")
    if not (count.isdecimal() and tokens.isdecimal()):
        message = f"--shared-prefixes: {quoted(text)} is not COUNT:TOKENS, such as 4:1000"
        raise ConfigError(message)
    return Prefixes(count=int(count), tokens=int(tokens))


def _load(spec: WorkloadSpec, concurrency: int | None, arrivals: str | None, *, slots: int) -> Load:
    """Return a closed loop, or an open one, which nothing but the flag holds back."""
    if arrivals is None:
        return Load(concurrency=spec.concurrency or slots)
    try:
        return Load(concurrency=concurrency, arrivals=parse_arrivals(arrivals))
    except ConfigError as error:
        raise ConfigError(f"--arrivals: {error.message}") from None


def _requests(
    spec: WorkloadSpec, load: Load, workload: Workload, duration_s: float | None
) -> int | None:
    """Return what was asked for; else what the time or the file gives, or enough for the load."""
    if "requests" in spec.model_fields_set:
        return spec.requests
    if duration_s is not None or workload.data is not None:
        return None
    return max(spec.requests, _REQUESTS_PER_PLACE * (load.concurrency or 1))


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
            load=plan.load,
            requests=plan.requests,
            duration_s=plan.duration_s,
            dispatch=plan.dispatch,
            model=plan.model,
            api_key=plan.api_key,
            warmup=plan.warmup,
            timeout=plan.timeout,
            processes=plan.processes,
            calibrate=plan.calibrate,
            progress=progress,
            stop=stop,
        )
