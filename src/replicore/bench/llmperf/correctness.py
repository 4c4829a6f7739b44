"""LLMPerf's correctness check: its requests, to every server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from replicore.bench.client.run import Run
from replicore.bench.client.tick import Progress
from replicore.bench.llmperf.bodies import chat_body
from replicore.bench.llmperf.options import RunOptions
from replicore.bench.llmperf.questions import question, sampling_of
from replicore.bench.llmperf.servers import Servers
from replicore.bench.load.arrivals import Load
from replicore.bench.load.jobs import Job, Session
from replicore.bench.runner import run_sessions


async def ask(
    options: RunOptions,
    servers: Servers,
    numbers: Sequence[int],
    *,
    progress: Progress | None,
    stop: asyncio.Event | None,
) -> Run:
    """Ask for each number, server after server."""
    sampling = sampling_of(options)
    bodies = [chat_body(options.model, question(n), sampling, usage=True) for n in numbers]
    return await run_sessions(
        servers.endpoints,
        [_session(index, body) for index, body in enumerate(bodies)],
        path=servers.path,
        load=Load(concurrency=options.concurrency),
        dispatch="round_robin",
        timeout=options.request_timeout_s,
        duration_s=options.timeout_s,
        drain_s=options.drain_s,
        headers=servers.headers,
        keep_text=True,
        progress=progress,
        stop=stop,
    )


def _session(index: int, body: bytes) -> Session:
    # Nobody asks for a length here; LLMPerf writes 0, too.
    job = Job(index=index, body=body, input_tokens=0, output_tokens=0)
    return Session(index=index, jobs=(job,))
