"""The command lines of LLMPerf's two scripts, unchanged, and the few flags that are ours. Pure."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NoReturn

from replicore.errors import ConfigError

_APIS = ("openai", "anthropic", "litellm", "sagemaker", "vertexai")
_DISPATCH = ("round_robin", "least_in_flight")
_ENVIRONMENT = 'servers and key: OPENAI_API_BASE="URL[;URL...]" and OPENAI_API_KEY'


class Mode(StrEnum):
    """Whose arithmetic is used; every mode but the first repeats known errors on purpose."""

    CORRECTED = "corrected"
    V2 = "v2.0"  # the tag of 2023-12
    MAIN = "main"  # the last commit, of 2024-12
    NEURON = "neuron"  # that, with the patches of AWS Neuron's guide


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What both scripts take.

    Attributes:
        concurrency: Requests kept in flight.
        timeout_s: After this time no request is sent any more.
        requests: How many are sent.
        sampling: Merged into each body last.
        results_dir: None writes no file.
        metadata: Goes into the summary last, over every other key.
        request_timeout_s: Longest time of one request.
        drain_s: Longest time that requests may take that are in flight after ``timeout_s``; None
            for as long as they need.
        seed: None draws a new one.
    """

    model: str
    concurrency: int = 10
    timeout_s: float = 90.0
    requests: int = 10
    sampling: dict[str, object]
    results_dir: Path | None = None
    api: str = "openai"
    metadata: dict[str, str]
    request_timeout_s: float = 600.0
    drain_s: float | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """``token_benchmark_ray.py``.

    Attributes:
        tokenizer: A path, or a name that only LLMPerf needs.
        sonnet: LLMPerf's text, for the modes that send it.
        llmperf: A checkout of LLMPerf, which has that text.
        warmup: Requests before the measured ones, not in the files.
        dispatch: How one of several servers is chosen.
        arrivals: A plan of arrivals, such as ``poisson:10``; None for a closed loop.
        processes: Of the load client.
        result: Where the run goes as `replicore bench` writes it; None writes no such file.
    """

    run: RunOptions
    mode: Mode = Mode.CORRECTED
    mean_input_tokens: int = 550
    stddev_input_tokens: int = 150
    mean_output_tokens: int = 150
    stddev_output_tokens: int = 80
    tokenizer: str | None = None
    sonnet: Path | None = None
    llmperf: Path | None = None
    warmup: int = 0
    dispatch: str = _DISPATCH[0]
    arrivals: str | None = None
    processes: int = 1
    result: Path | None = None


def parse_benchmark(argv: Sequence[str]) -> Options:
    """Return the options of a benchmark.

    Raises:
        ConfigError: An unknown flag or a wrong value.
    """
    values = _benchmark_parser().parse_args(list(argv))
    for flag in ("mean_input_tokens", "mean_output_tokens", "processes"):
        _at_least(values, flag, 1)
    for flag in ("stddev_input_tokens", "stddev_output_tokens", "warmup"):
        _at_least(values, flag, 0)
    mode = Mode(values.llmperf_mode)
    if mode is not Mode.CORRECTED:
        _refuse_ours(values, mode)
    return Options(
        run=_run_options(values),
        mode=mode,
        mean_input_tokens=values.mean_input_tokens,
        stddev_input_tokens=values.stddev_input_tokens,
        mean_output_tokens=values.mean_output_tokens,
        stddev_output_tokens=values.stddev_output_tokens,
        tokenizer=values.tokenizer,
        sonnet=values.sonnet,
        llmperf=values.llmperf,
        warmup=values.warmup,
        dispatch=values.dispatch,
        arrivals=values.arrivals,
        processes=values.processes,
        result=values.result,
    )


def _refuse_ours(values: argparse.Namespace, mode: Mode) -> None:
    """Refuse what LLMPerf has nothing like, where its own doings are repeated."""
    for flag in ("warmup", "arrivals", "result"):
        if getattr(values, flag):
            raise ConfigError(f"--{flag} is for the corrected mode, not for {mode.value}")


def parse_correctness(argv: Sequence[str]) -> RunOptions:
    """Return the options of a correctness check.

    Raises:
        ConfigError: An unknown flag or a wrong value.
    """
    parser = _Parser(
        prog="replicore bench llm-correctness",
        description="Ask every server for the digits of numbers in words, and compare the answers.",
        epilog=_ENVIRONMENT,
    )
    _add_common(parser, requests=50)
    return _run_options(parser.parse_args(list(argv)))


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(message, hint="`--help` lists the flags")


def _benchmark_parser() -> _Parser:
    parser = _Parser(
        prog="replicore bench llmperf",
        description="Measure servers with OpenAI's API, with the flags and the files of LLMPerf.",
        epilog=_ENVIRONMENT,
    )
    _add_common(parser, requests=10)
    lengths = parser.add_argument_group("lengths in tokens, normal, drawn again while below 1")
    for name, defaults in (("input", (550, 150)), ("output", (150, 80))):
        for kind, value in zip(("mean", "stddev"), defaults, strict=True):
            flag = f"--{kind}-{name}-tokens"
            lengths.add_argument(flag, type=int, default=value, metavar="N", help="%(default)s")
    _add_ours(parser)
    return parser


def _add_common(parser: _Parser, *, requests: int) -> None:
    add = parser.add_argument
    add("--model", required=True, metavar="NAME", help="as the servers know it")
    add("--num-concurrent-requests", type=int, default=10, metavar="N", help="in flight; 10")
    add("--timeout", type=int, default=90, metavar="S", help="send nothing after this; 90 s")
    add(
        "--max-num-completed-requests",
        type=int,
        default=requests,
        metavar="N",
        help="requests to send; %(default)s",
    )
    add("--additional-sampling-params", default="{}", metavar="JSON", help="added to each body")
    add("--results-dir", default="", metavar="DIR", help="where two files go; none are written")
    add("--llm-api", default="openai", choices=_APIS, help="only openai is implemented")
    add("--metadata", default="", metavar="K=V[,K=V...]", help="added to the summary")
    add("--request-timeout", type=float, default=600.0, metavar="S", help="of one request; 600 s")
    add("--drain-timeout", type=float, metavar="S", help="for what is in flight after --timeout")
    add("--seed", type=int, metavar="N", help="of what is asked; a new one each run")


def _add_ours(parser: _Parser) -> None:
    add = parser.add_argument_group("not of LLMPerf").add_argument
    modes = [mode.value for mode in Mode]
    add("--llmperf-mode", choices=modes, default=modes[0], help="whose arithmetic; %(default)s")
    add("--tokenizer", metavar="PATH", help="tokenizer.json, or the directory that has it")
    add("--sonnet", type=Path, metavar="PATH", help="LLMPerf's sonnet.txt, for the old modes")
    add("--llmperf", type=Path, metavar="PATH", help="a checkout of LLMPerf that has it")
    add("--warmup", type=int, default=0, metavar="N", help="requests before the measured ones")
    add("--arrivals", metavar="PLAN", help="an open loop instead, such as 10/s or poisson:10")
    add("--dispatch", choices=_DISPATCH, default=_DISPATCH[0], help="of several servers")
    add("--processes", type=int, default=1, metavar="N", help="of the client; 1")
    add("--result", type=Path, metavar="FILE", help="our own result file, for `replicore compare`")


def _run_options(values: argparse.Namespace) -> RunOptions:
    for flag in ("num_concurrent_requests", "max_num_completed_requests", "timeout"):
        _at_least(values, flag, 1)
    if not values.request_timeout > 0:
        raise ConfigError(f"--request-timeout: {values.request_timeout:g} s is not above 0")
    if values.drain_timeout is not None and not values.drain_timeout >= 0:
        raise ConfigError(f"--drain-timeout: {values.drain_timeout:g} s is below 0")
    return RunOptions(
        model=values.model,
        concurrency=values.num_concurrent_requests,
        timeout_s=float(values.timeout),
        requests=values.max_num_completed_requests,
        sampling=_sampling(values.additional_sampling_params),
        results_dir=_directory(values.results_dir),
        api=_api(values.llm_api),
        metadata=_metadata(values.metadata),
        request_timeout_s=values.request_timeout,
        drain_s=values.drain_timeout,
        seed=values.seed,
    )


def _at_least(values: argparse.Namespace, name: str, least: int) -> None:
    value = getattr(values, name)
    if value < least:
        raise ConfigError(f"--{name.replace('_', '-')}: {value} is below {least}")


def _sampling(text: str) -> dict[str, object]:
    flag = "--additional-sampling-params"
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{flag}: {text} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ConfigError(
            f"{flag}: {text} is not a JSON object", hint=f"{flag} '{{\"top_k\": 50}}'"
        )
    return value


def _directory(text: str) -> Path | None:
    return Path(text) if text else None


def _api(name: str) -> str:
    if name != "openai":
        raise ConfigError(
            f'--llm-api: "{name}" is not implemented; "openai" is',
            hint="most servers have OpenAI's API too",
        )
    return name


def _metadata(text: str) -> dict[str, str]:
    pairs = [item.split("=") for item in text.split(",")] if text else []
    for pair in pairs:
        if len(pair) != 2:
            raise ConfigError(f'--metadata: "{"=".join(pair)}" is not of the form key=value')
    return dict(pairs)
