"""A run in one of the old modes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from replicore.bench.client.targets import open_targets
from replicore.bench.llmperf.entries import Count, strict_entry
from replicore.bench.llmperf.launch import Launched, Progress, in_lanes, in_rounds
from replicore.bench.llmperf.options import Mode, Options
from replicore.bench.llmperf.outcome import Outcome
from replicore.bench.llmperf.prompts import MAIN_SEED, SonnetPrompts
from replicore.bench.llmperf.sender import HttpSender
from replicore.bench.llmperf.servers import Servers
from replicore.bench.llmperf.sonnet import read_sonnet
from replicore.bench.llmperf.vocabulary import load_vocabulary, tokenizer_file
from replicore.errors import ConfigError


def strict_prompts(options: Options) -> tuple[SonnetPrompts, Count]:
    """Return LLMPerf's prompts, and the count of tokens that it makes of answers.

    Raises:
        ConfigError: Its text or its tokenizer was not named, or is not what it must be.
    """
    lines = read_sonnet(options.sonnet, options.llmperf)
    count = load_vocabulary(_tokenizer(options)).count_with_special
    seed = options.run.seed
    if seed is None and options.mode is not Mode.V2:
        seed = MAIN_SEED
    return SonnetPrompts(options, lines, count, random.Random(seed)), count


def _tokenizer(options: Options) -> Path:
    name = options.tokenizer
    path = None if name is None else tokenizer_file(name)
    if path is None:
        what = "none was named" if name is None else f'"{name}" is no file'
        raise ConfigError(
            f"--llmperf-mode {options.mode.value} counts with a tokenizer.json, and {what}",
            hint="--tokenizer PATH; LLMPerf's own is that of hf-internal-testing/llama-tokenizer",
        )
    return path


async def run_strict(
    options: Options,
    servers: Servers,
    prompts: SonnetPrompts,
    count: Count,
    *,
    progress: Progress,
    stop: asyncio.Event,
) -> Outcome:
    """Send what LLMPerf sends, when it does, and compute what it computes.

    Raises:
        ConfigError: The mean input length leaves no room for text.
    """
    run = options.run
    all_at_once = options.mode is not Mode.V2
    drawn = [prompts.draw() for _ in range(run.requests)] if all_at_once else []
    async with open_targets(servers.endpoints, run.concurrency) as targets:
        progress(0)
        sender = HttpSender(targets, servers, run)
        async with _ended_by(sender, stop):
            if all_at_once:
                launched = await in_lanes(sender, drawn, run, progress)
            else:
                launched = await in_rounds(sender, prompts.draw, run, progress)
    return _outcome(launched, options.mode, count, interrupted=stop.is_set())


@asynccontextmanager
async def _ended_by(sender: HttpSender, stop: asyncio.Event) -> AsyncIterator[None]:
    watcher = asyncio.create_task(sender.end_when(stop))
    try:
        yield
    finally:
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher


def _outcome(launched: Launched, mode: Mode, count: Count, *, interrupted: bool) -> Outcome:
    finished = [record for record in launched.records if not record.unfinished]
    return Outcome(
        entries=tuple(strict_entry(record, mode, count) for record in finished),
        elapsed_s=launched.elapsed_s,
        timed_out=launched.timed_out,
        interrupted=interrupted,
    )
