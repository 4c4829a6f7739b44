"""LLMPerf's old ways, repeated on real connections."""

from __future__ import annotations

import asyncio
import random
import re
from typing import Any

import pytest

from replicore.bench.llmperf.options import Mode, Options, RunOptions
from replicore.bench.llmperf.outcome import Outcome
from replicore.bench.llmperf.prompts import MAIN_SEED, SonnetPrompts
from replicore.bench.llmperf.servers import Servers
from replicore.bench.llmperf.strict import run_strict
from replicore.http.server import Response
from tests.integration.chat_server import Body, ChatServer, chat_server, whole

LINES = [f"line number {index} of a text,\n" for index in range(20)]
# The role, six tokens and the end: what whole() sends for max_tokens 6.
EVENTS = 8


def count(text: str) -> int:
    """Count words and marks, and one at the beginning as the Llama tokenizer does."""
    return 1 + len(re.findall(r"\w+|[^\w\s]", text))


def strict(mode: Mode, *servers: ChatServer, stop: bool = False, **fields: Any) -> Outcome:
    run = RunOptions(**{"model": "tiny", "sampling": {}, "metadata": {}, **fields})
    options = Options(run=run, mode=mode, mean_output_tokens=6, stddev_output_tokens=0)
    prompts = SonnetPrompts(options, LINES, count, random.Random(MAIN_SEED))
    where = Servers(tuple(one.url for one in servers), "/v1/chat/completions", "EMPTY")

    async def run_it() -> Outcome:
        event = asyncio.Event()
        if stop:
            event.set()
        return await run_strict(options, where, prompts, count, progress=lambda _: None, stop=event)

    return asyncio.run(run_it())


def test_body_is_exactly_that_of_llmperf() -> None:
    with chat_server() as server:
        strict(Mode.MAIN, server, concurrency=1, requests=1, sampling={"top_k": 50})

    assert list(server.bodies[0]) == ["model", "messages", "stream", "max_tokens", "top_k"]
    assert server.bodies[0]["messages"][1]["content"].startswith("Randomly stream lines from")


def test_v2_sends_whole_rounds_each_to_one_server() -> None:
    with chat_server() as first, chat_server() as second:
        outcome = strict(Mode.V2, first, second, concurrency=4, requests=10)

    assert (len(first.bodies), len(second.bodies)) == (8, 4)
    assert len(outcome.entries) == 12


def test_main_sends_requests_that_it_never_counts() -> None:
    with chat_server() as server:
        outcome = strict(Mode.MAIN, server, concurrency=10, requests=10)

    assert (len(server.bodies), len(outcome.entries)) == (19, 10)


def test_main_sends_its_first_wave_to_the_first_server() -> None:
    with chat_server(hold) as first, chat_server() as second:
        strict(Mode.MAIN, first, second, concurrency=4, requests=4)

    assert first.most_open == 4


def hold(server: ChatServer, body: Body, response: Response) -> None:
    """Answer nobody before four requests are here."""
    server.held.append((body, response))
    if len(server.bodies) >= 4:
        server.release()


@pytest.mark.parametrize(("mode", "counted"), [(Mode.V2, EVENTS), (Mode.MAIN, 7), (Mode.NEURON, 7)])
def test_throughput_counts_events_or_tokens_with_the_one_at_the_beginning(
    mode: Mode, counted: int
) -> None:
    with chat_server() as server:
        [entry] = strict(mode, server, concurrency=1, requests=1).entries

    rate = entry.request_output_throughput_token_per_s
    assert rate == pytest.approx(counted / entry.end_to_end_latency_s)
    assert entry.number_output_tokens == 7


def test_usage_chunk_is_no_error() -> None:
    options = {"stream_options": {"include_usage": True}}
    with chat_server() as server:
        [entry] = strict(Mode.MAIN, server, concurrency=1, requests=1, sampling=options).entries

    assert entry.error_code is None


@pytest.mark.parametrize("mode", [Mode.V2, Mode.MAIN, Mode.NEURON])
def test_errors_are_counted_and_end_nothing(mode: Mode) -> None:
    def sometimes(server: ChatServer, body: Body, response: Response) -> None:
        if len(server.bodies) % 2:
            response.send(503, b"busy")
        else:
            whole(server, body, response)

    with chat_server(sometimes) as server:
        outcome = strict(mode, server, concurrency=1, requests=6)

    assert [entry.error_code for entry in outcome.entries].count(503) == 3
    assert len(outcome.entries) == 6


def test_run_that_is_ended_has_no_entry_for_what_it_cut_off() -> None:
    with chat_server(lambda server, body, response: None) as server:
        outcome = strict(Mode.MAIN, server, stop=True, concurrency=2, requests=6)

    assert (outcome.entries, outcome.interrupted, outcome.timed_out) == ((), True, False)
