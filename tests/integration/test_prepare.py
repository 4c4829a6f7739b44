"""Prompts of exact length: as many tokens as were asked for, as real servers count them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from replicore.bench.load.arrivals import Load
from replicore.bench.load.data.files import describe
from replicore.bench.load.jobs import Job
from replicore.bench.load.prepare import Prepared, prepare
from replicore.bench.load.server import find_server
from replicore.bench.load.workload import Api, Lengths, Prefixes, Turns, Workload
from replicore.engines.engine import ReplicaPlan
from replicore.errors import ConfigError, UpstreamError
from replicore.http.fetch import fetch
from replicore.http.server import listen, serve
from tests.integration.simulator import Simulator, simulator
from tests.integration.test_llamacpp import plan_of_one_replica, running, until_ready

TIMEOUT_S = 60.0
CLOSED = Load(concurrency=2)
VARIED = Lengths(90, 25)
# A real engine on one core takes its time.
SHORT = Lengths(50, 5)


@pytest.fixture(name="sim", scope="module")
def run_simulator() -> Iterator[Simulator]:
    with simulator("--prefill-tokens-per-s=1e6", "--decode-tokens-per-s=1e5") as running_simulator:
        yield running_simulator


@pytest.fixture(name="engine", scope="module")
def run_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplicaPlan]:
    with plan_of_one_replica(tmp_path_factory.mktemp("cache")) as plan, running(plan):
        until_ready(plan)
        yield plan


def prepared(endpoint: str, workload: Workload, requests: int | None = 6) -> Prepared:
    async def prepare_it() -> Prepared:
        found, model = await find_server([endpoint])
        return await prepare(found, model, workload, CLOSED, requests=requests, warmup=2)

    return asyncio.run(prepare_it())


def jobs(found: Prepared, *, warmup: bool = False) -> list[Job]:
    sessions = [session for session in found.sessions if session.warmup == warmup]
    return [job for session in sessions for job in session.jobs]


def counted(endpoint: str, found: Prepared, chosen: Sequence[Job]) -> list[int]:
    """Return the input tokens that the server counts for requests."""
    return [asyncio.run(prompt_tokens(endpoint, found.path, job)) for job in chosen]


async def prompt_tokens(endpoint: str, path: str, job: Job) -> int:
    assert isinstance(job.body, bytes)
    body: dict[str, Any] = json.loads(job.body) | {"max_tokens": 1, "stream": False}
    del body["stream_options"]
    data = json.dumps(body).encode()
    reply = await fetch(endpoint, "POST", path, body=data, timeout=TIMEOUT_S)
    tokens: int = json.loads(reply.body)["usage"]["prompt_tokens"]
    return tokens


WORKLOADS = [
    Workload(input_tokens=VARIED, seed=1),
    Workload(input_tokens=VARIED, seed=2, api=Api.CHAT),
    Workload(input_tokens=VARIED, seed=3, prefixes=Prefixes(count=2, tokens=40)),
    Workload(input_tokens=VARIED, seed=4, api=Api.CHAT, prefixes=Prefixes(count=2, tokens=40)),
]
NAMES = ["ids", "chat", "ids with prefixes", "chat with prefixes"]


@pytest.mark.parametrize("workload", WORKLOADS, ids=NAMES)
def test_simulator_counts_exactly_the_asked_tokens(sim: Simulator, workload: Workload) -> None:
    found = prepared(sim.endpoint, workload)
    chosen = jobs(found) + jobs(found, warmup=True)

    assert found.exact
    assert len(chosen) == 8
    assert counted(sim.endpoint, found, chosen) == [job.input_tokens for job in chosen]


@pytest.mark.engine
@pytest.mark.parametrize("workload", WORKLOADS, ids=NAMES)
def test_llamacpp_counts_exactly_the_asked_tokens(engine: ReplicaPlan, workload: Workload) -> None:
    found = prepared(engine.endpoint, replace(workload, input_tokens=SHORT), requests=2)

    assert (found.exact, found.counted_by) == (True, "the server's /tokenize")
    assert counted(engine.endpoint, found, jobs(found)) == [job.input_tokens for job in jobs(found)]


@pytest.mark.engine
@pytest.mark.parametrize("api", list(Api))
def test_llamacpp_s_own_file_tokenizes_for_it(engine: ReplicaPlan, api: Api) -> None:
    path = str(engine.model.path)
    workload = Workload(input_tokens=SHORT, seed=5, api=api, tokenizer=path)
    found = prepared(engine.endpoint, workload, requests=2)

    assert (found.exact, found.counted_by) == (True, path)
    assert counted(engine.endpoint, found, jobs(found)) == [job.input_tokens for job in jobs(found)]


def test_tokens_that_all_prompts_have_in_common_are_told(sim: Simulator) -> None:
    ids = prepared(sim.endpoint, Workload())
    chat = prepared(sim.endpoint, Workload(api=Api.CHAT))

    # "[user]", a line break, the first word; a line break, "[assistant]", a line break
    assert (ids.common_tokens, chat.common_tokens) == (0, 4 + 1 + 1 + 6)


def test_trace_has_the_lengths_of_its_rows_and_shares_what_they_share(
    sim: Simulator, tmp_path: Path
) -> None:
    trace = tmp_path / "trace.jsonl"
    rows = [(0, 40, [1, 2, 3]), (500, 45, [1, 2, 4]), (900, 30, [8, 9])]
    trace.write_text(
        "\n".join(
            json.dumps(
                {"timestamp": at, "input_length": size, "output_length": 3, "hash_ids": blocks}
            )
            for at, size, blocks in rows
        )
    )
    found = prepared(sim.endpoint, Workload(data=describe(trace)), requests=None)
    prompts = [json.loads(bytes_of(job))["prompt"] for job in jobs(found)]

    assert found.exact
    assert counted(sim.endpoint, found, jobs(found)) == [40, 45, 30]
    # Blocks of 16, the smallest power of two with which three cover 45
    assert prompts[0][:32] == prompts[1][:32]
    assert prompts[0][32:] != prompts[1][32:40]


def bytes_of(job: Job) -> bytes:
    assert isinstance(job.body, bytes)
    return job.body


def test_recorded_prompts_are_sent_as_they_are_and_counted(sim: Simulator, tmp_path: Path) -> None:
    data = tmp_path / "prompts.jsonl"
    data.write_text('{"prompt": "to be or not", "output_tokens": 4}\n')
    found = prepared(sim.endpoint, Workload(data=describe(data)), requests=2)
    first, again = jobs(found)

    assert [json.loads(bytes_of(job))["prompt"] for job in (first, again)] == ["to be or not"] * 2
    assert first.output_tokens == 4
    assert counted(sim.endpoint, found, [first]) == [first.input_tokens]
    assert not found.exact


def test_recorded_prompts_are_never_those_of_the_warmup(sim: Simulator, tmp_path: Path) -> None:
    data = tmp_path / "prompts.jsonl"
    data.write_text('{"prompt": "to be or not"}\n')
    found = prepared(sim.endpoint, Workload(data=describe(data)), requests=1)

    warm = [json.loads(bytes_of(job))["prompt"] for job in jobs(found, warmup=True)]
    assert "to be or not" not in warm


def test_conversations_are_not_called_exact(sim: Simulator) -> None:
    workload = Workload(api=Api.CHAT, turns=Turns(count=Lengths(2)))
    found = prepared(sim.endpoint, workload, requests=4)
    first = jobs(found)[0]

    assert not found.exact
    assert counted(sim.endpoint, found, [first]) == [first.input_tokens]
    assert [len(session.jobs) for session in found.sessions if not session.warmup] == [2, 2]


@pytest.mark.parametrize(
    ("workload", "message"),
    [
        (Workload(prefixes=Prefixes(count=1, tokens=5)), "shared prefixes are for drawn prompts"),
        (Workload(turns=Turns(count=Lengths(2))), "a trace has one request a row"),
    ],
)
def test_trace_cannot_have_what_only_drawn_sessions_have(
    sim: Simulator, tmp_path: Path, workload: Workload, message: str
) -> None:
    trace = tmp_path / "trace.jsonl"
    trace.write_text('{"timestamp": 0, "input_length": 6, "output_length": 5}\n')

    with pytest.raises(ConfigError, match=message):
        prepared(sim.endpoint, replace(workload, data=describe(trace)))


def test_recorded_messages_need_the_chat_route(sim: Simulator, tmp_path: Path) -> None:
    data = tmp_path / "talk.jsonl"
    said = [{"role": "system", "content": "brief"}, {"role": "user", "content": "one"}]
    data.write_text(json.dumps({"messages": said}))

    with pytest.raises(ConfigError, match=r"talk\.jsonl, line 1 has messages"):
        prepared(sim.endpoint, Workload(data=describe(data)))
    found = prepared(sim.endpoint, Workload(data=describe(data), api=Api.CHAT), requests=1)
    assert json.loads(bytes_of(jobs(found)[0]))["messages"] == said


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"requests": 0}, "requests: 0 is below 1"),
        ({"requests": None, "duration_s": 0.0}, "duration: 0 s is not above 0"),
        ({"requests": 1, "warmup": -1}, "warmup: -1 is below 0"),
    ],
)
def test_numbers_that_cannot_be_are_refused_before_a_server_is_asked(
    numbers: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        asyncio.run(prepare("http://127.0.0.1:9", "tiny", Workload(), CLOSED, **numbers))


async def find_one_that_is_busy() -> None:
    sock = listen("127.0.0.1", 0)
    busy = await serve(lambda request, response: response.send(503, b"too busy"), sock=sock)
    try:
        await find_server([f"http://127.0.0.1:{sock.getsockname()[1]}"])
    finally:
        busy.close()
        await busy.wait_closed(timeout=0)


def test_server_without_a_model_is_told_with_its_words() -> None:
    with pytest.raises(UpstreamError, match="names no model: status 503: too busy"):
        asyncio.run(find_one_that_is_busy())


def test_server_that_refuses_the_model_s_name_is_told_with_its_words(sim: Simulator) -> None:
    with pytest.raises(UpstreamError, match="did not count a prompt's tokens: status 404"):
        asyncio.run(
            prepare(sim.endpoint, "no such model", Workload(), CLOSED, requests=1, warmup=0)
        )
