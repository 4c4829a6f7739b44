"""In which order the old modes send requests, and which of them they count.

Both orders waste time and load on purpose: they repeat what LLMPerf does, so that its old numbers
can be understood. The corrected mode has no part in this.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from replicore.bench.llmperf.options import RunOptions
from replicore.bench.llmperf.prompts import Prompt
from replicore.bench.record import RequestRecord


class Sender(Protocol):
    """Sends requests, and has the clock that they are timed with."""

    def now(self) -> float:
        """Return seconds since the run began."""
        ...

    def ended(self) -> bool:
        """Whether somebody ended the run early."""
        ...

    def send(self, index: int, prompt: Prompt, turn: int) -> asyncio.Future[RequestRecord]:
        """Send at once to the server whose turn it is: ``turn`` modulo the number of servers."""
        ...


@dataclass(slots=True)
class Launched:
    """What was sent.

    Attributes:
        records: The counted requests, in the order in which they were collected.
        elapsed_s: What rates are divided by.
        timed_out: Whether the time was over before all requests were.
    """

    records: list[RequestRecord] = field(default_factory=list)
    elapsed_s: float = 0.0
    timed_out: bool = False


# Told how many requests were counted so far.
Progress = Callable[[int], None]


async def in_rounds(
    sender: Sender, draw: Callable[[], Prompt], options: RunOptions, progress: Progress
) -> Launched:
    """Send as v2.0 does: C at a time, and none before all C are back.

    Each of C senders is used once in a round and counts its own turns, so round k goes to server k
    modulo D as a whole. The clock stops before the requests of an unfinished round are collected;
    they are counted all the same.

    Args:
        draw: Makes the next prompt, inside the clock.
    """
    found = Launched()
    waiting: list[asyncio.Future[RequestRecord]] = []
    index = 0
    while _goes_on(sender, options, found):
        waiting.append(sender.send(index, draw(), index // options.concurrency))
        index += 1
        await asyncio.sleep(0)
        if index % options.concurrency == 0:
            found.records += await asyncio.gather(*waiting)
            waiting.clear()
            progress(len(found.records))
    found.elapsed_s = sender.now()
    found.timed_out = found.elapsed_s >= options.timeout_s
    found.records += await asyncio.gather(*waiting)
    progress(len(found.records))
    return found


async def in_lanes(
    sender: Sender, prompts: Sequence[Prompt], options: RunOptions, progress: Progress
) -> Launched:
    """Send as the last version does: C lanes, each with a prompt after the other, until N are back.

    Lane i begins with prompt i modulo N and goes on by C, and with server 0 and goes on by 1. What
    comes back after the first N is thrown away, and the clock runs until all of it is back.
    """
    found = Launched()

    async def lane(number: int) -> None:
        place = number % len(prompts)
        turn = 0
        while _goes_on(sender, options, found):
            record = await sender.send(place, prompts[place], turn)
            turn += 1
            if len(found.records) < options.requests:
                found.records.append(record)
                progress(len(found.records))
                place = (place + options.concurrency) % len(prompts)

    async with asyncio.TaskGroup() as group:
        for number in range(options.concurrency):
            group.create_task(lane(number))
    found.elapsed_s = sender.now()
    found.timed_out = found.elapsed_s >= options.timeout_s
    return found


def _goes_on(sender: Sender, options: RunOptions, found: Launched) -> bool:
    in_time = sender.now() < options.timeout_s and not sender.ended()
    return in_time and len(found.records) < options.requests
