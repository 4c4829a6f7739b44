"""The requests of a run in the corrected mode: when they leave, and what they ask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from replicore.bench.llmperf.bodies import chat_body
from replicore.bench.llmperf.counting import Counted, counted_prompts
from replicore.bench.llmperf.options import Options
from replicore.bench.llmperf.servers import Servers
from replicore.bench.llmperf.vocabulary import Vocabulary
from replicore.bench.load.arrivals import Load
from replicore.bench.load.jobs import Job, Session
from replicore.bench.load.lengths import Lengths
from replicore.bench.load.options import parse_arrivals
from replicore.errors import ConfigError

# Independent random streams.
_OUTPUT, _PROMPT, _ARRIVALS = range(3)
# Redraws for a length that leaves room for text; only a mean far below it needs as many.
_MOST_DRAWS = 1_000


def load_of(options: Options) -> Load:
    """Return a closed loop, or the plan of arrivals that the user wants instead.

    Raises:
        ConfigError: The plan is of no form that is known.
    """
    plan = None if options.arrivals is None else parse_arrivals(options.arrivals)
    return Load(concurrency=options.run.concurrency, arrivals=plan)


async def make_sessions(
    options: Options, servers: Servers, load: Load, seed: int, vocabulary: Vocabulary | None
) -> tuple[list[Session], Counted]:
    """Return the requests of a run, warm-up first, and who counted their tokens.

    Raises:
        ConfigError: The mean input length leaves no room for text, or a trace of arrivals is short.
    """
    asked = [(True, index) for index in range(options.warmup)]
    asked += [(False, index) for index in range(options.run.requests)]
    lengths = Lengths(options.mean_output_tokens, options.stddev_output_tokens)
    outputs = [lengths.draw(_rng(seed, *request, _OUTPUT)) for request in asked]
    counted = await counted_prompts(servers, options.run.model, outputs, vocabulary)
    jobs = [
        _job(options, counted, index, output, _rng(seed, warmup, index, _PROMPT))
        for (warmup, index), output in zip(asked, outputs, strict=True)
    ]
    times = _times(load, len(jobs), seed)
    sessions = [
        Session(index=index, jobs=(job,), at_s=at_s, warmup=warmup)
        for (warmup, index), job, at_s in zip(asked, jobs, times, strict=True)
    ]
    return sessions, counted


def _job(
    options: Options, counted: Counted, index: int, output: int, rng: np.random.Generator
) -> Job:
    tokens = _input_tokens(options, counted.prompts.least_tokens(output), rng)
    prompt = counted.prompts.prompt(tokens, output, rng)
    sampling = {"max_tokens": output} | options.run.sampling
    body = chat_body(options.run.model, prompt, sampling, usage=True)
    return Job(index=index, body=body, input_tokens=tokens, output_tokens=output)


def _times(load: Load, count: int, seed: int) -> Sequence[float | None]:
    """Return when each request leaves; None where it leaves as soon as there is a place."""
    if load.arrivals is None:
        return [None] * count
    limit = load.arrivals.limit
    if limit is not None and limit < count:
        raise ConfigError(
            f"--arrivals: the trace has {limit} times, {count} requests were asked for"
        )
    times = load.arrivals.times(count, np.random.default_rng((seed, _ARRIVALS)))
    return [float(time) for time in times]


def _input_tokens(options: Options, least: int, rng: np.random.Generator) -> int:
    lengths = Lengths(options.mean_input_tokens, options.stddev_input_tokens)
    for _ in range(_MOST_DRAWS):
        tokens = lengths.draw(rng)
        if tokens >= least:
            return tokens
    raise ConfigError(
        f"--mean-input-tokens: {options.mean_input_tokens} leaves no room for text: "
        f"the shortest prompt has {least} tokens"
    )


def _rng(seed: int, warmup: bool, index: int, stream: int) -> np.random.Generator:
    return np.random.default_rng((seed, int(warmup), index, stream))
