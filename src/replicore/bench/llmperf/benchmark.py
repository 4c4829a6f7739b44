"""LLMPerf's benchmark in any of its modes."""

from __future__ import annotations

import asyncio

from replicore.bench.llmperf.corrected import run_corrected
from replicore.bench.llmperf.launch import Progress
from replicore.bench.llmperf.options import Mode, Options
from replicore.bench.llmperf.outcome import Measured
from replicore.bench.llmperf.servers import Servers
from replicore.bench.llmperf.strict import run_strict, strict_prompts


async def measure(
    options: Options, servers: Servers, *, progress: Progress, stop: asyncio.Event
) -> Measured:
    """Run the benchmark.

    Args:
        progress: Told how many requests are over.
        stop: When set, the run ends at once with what it has.

    Raises:
        ConfigError: A file that the mode needs is missing, or no prompt fits the mean length.
    """
    if options.mode is Mode.CORRECTED:
        return await run_corrected(options, servers, progress=progress, stop=stop)
    prompts, count = strict_prompts(options)
    outcome = await run_strict(options, servers, prompts, count, progress=progress, stop=stop)
    return Measured(outcome=outcome)
