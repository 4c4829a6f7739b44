"""A run in the corrected mode: LLMPerf's flags, our load client, right numbers."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from replicore.bench.client.run import Run
from replicore.bench.client.tick import Tick
from replicore.bench.llmperf.counting import Counted
from replicore.bench.llmperf.entries import Count, corrected_entry, lacks_usage
from replicore.bench.llmperf.launch import Progress
from replicore.bench.llmperf.options import Options
from replicore.bench.llmperf.outcome import Measured, Outcome
from replicore.bench.llmperf.requests import load_of, make_sessions
from replicore.bench.llmperf.servers import Servers
from replicore.bench.llmperf.vocabulary import Vocabulary, load_vocabulary, tokenizer_file
from replicore.bench.load.arrivals import Load
from replicore.bench.load.jobs import Session
from replicore.bench.load.lengths import Lengths
from replicore.bench.load.workload import Api, Workload
from replicore.bench.record import BenchResult, RequestRecord
from replicore.bench.runner import run_sessions
from replicore.bench.selfcheck.calibration import calibrate


async def run_corrected(
    options: Options, servers: Servers, *, progress: Progress, stop: asyncio.Event
) -> Measured:
    """Send exactly the requests that were asked for, each once, in order, and count all of them.

    Raises:
        ConfigError: The mean input length leaves no room for text, a trace of arrivals is short, or
            the tokenizer cannot be read.
    """
    seed = secrets.randbits(32) if options.run.seed is None else options.run.seed
    vocabulary = _vocabulary(options)
    load = load_of(options)
    sessions, counted = await make_sessions(options, servers, load, seed, vocabulary)
    started_at = datetime.now(UTC).astimezone().isoformat(timespec="seconds")
    run = await _send(options, servers, sessions, load, vocabulary, progress, stop)
    result = BenchResult(
        endpoints=servers.endpoints,
        model=options.run.model,
        workload=_workload(options, seed),
        load=load,
        dispatch=options.dispatch,
        requests=options.run.requests,
        simulated=run.simulated,
        exact_prompts=counted.exact,
        started_at=started_at,
        interrupted=run.stopped,
        processes=run.processes,
        warmup=run.warmup,
        records=run.records,
        client=run.client,
        servers=run.servers,
    )
    return Measured(
        outcome=corrected_outcome(options, run, None if vocabulary is None else vocabulary.count),
        result=await _calibrated(options, result),
        notes=(*_notes(options, counted, vocabulary, run.records), f"seed: {seed}"),
    )


async def _calibrated(options: Options, result: BenchResult) -> BenchResult:
    """Have the client measured where the result is kept: LLMPerf's files have no place for that."""
    if options.result is None or result.interrupted:
        return result
    return replace(result, calibration=await calibrate(result))


async def _send(
    options: Options,
    servers: Servers,
    sessions: Sequence[Session],
    load: Load,
    vocabulary: Vocabulary | None,
    progress: Progress,
    stop: asyncio.Event,
) -> Run:
    def show(tick: Tick) -> None:
        progress(tick.done)

    return await run_sessions(
        servers.endpoints,
        sessions,
        path=servers.path,
        load=load,
        dispatch=options.dispatch,
        timeout=options.run.request_timeout_s,
        duration_s=options.run.timeout_s,
        drain_s=options.run.drain_s,
        headers=servers.headers,
        keep_text=vocabulary is not None,
        processes=options.processes,
        progress=show,
        stop=stop,
    )


def _workload(options: Options, seed: int) -> Workload:
    return Workload(
        input_tokens=Lengths(options.mean_input_tokens, options.stddev_input_tokens),
        output_tokens=Lengths(options.mean_output_tokens, options.stddev_output_tokens),
        seed=seed,
        api=Api.CHAT,
        ignore_eos=False,
    )


def corrected_outcome(options: Options, run: Run, count: Count | None) -> Outcome:
    """Return the run in LLMPerf's terms.

    Requests that Ctrl-C cut off have no outcome and no entry; those that the drain's end cut off
    were too slow, so they are errors. Time runs from the first sending to the last end.
    """
    records = [one for one in run.records if not (run.stopped and one.unfinished)]
    start = min((record.dispatched_s for record in records), default=0.0)
    return Outcome(
        entries=tuple(corrected_entry(record, count) for record in records),
        elapsed_s=max((record.ended_s for record in records), default=start) - start,
        timed_out=len(run.records) < options.run.requests and not run.stopped,
        interrupted=run.stopped,
    )


def _vocabulary(options: Options) -> Vocabulary | None:
    """Return the tokenizer that the user has; a name that is no file is of use to LLMPerf only."""
    path = None if options.tokenizer is None else tokenizer_file(options.tokenizer)
    return None if path is None else load_vocabulary(path)


def _notes(
    options: Options,
    counted: Counted,
    vocabulary: Vocabulary | None,
    records: Sequence[RequestRecord],
) -> Iterator[str]:
    if options.tokenizer is not None and vocabulary is None:
        yield f'--tokenizer: "{options.tokenizer}" is no file, and was not used'
    yield f"prompts were made to length by {counted.by}"
    known = [record for record in records if record.input_tokens is not None]
    right = sum(record.input_tokens == record.input_tokens_asked for record in known)
    if right < len(known):
        yield f"the server counted the asked input length in {right} of {len(known)} requests"
    bare = sum(map(lacks_usage, records))
    if bare:
        by = "stream events" if vocabulary is None else "the tokenizer given"
        yield f"{bare} answers had no usage: their output tokens were counted by {by}"
