"""Two vLLM replicas of one core each, behind the gateway."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from replicore.cli import run
from tests.chaos.streams import COMPLETIONS, Ask, Stream, ask, resumed, run_streams
from tests.engines.serving import (
    MAX_MODEL_LEN,
    PROMPT,
    SLOTS,
    TEXT,
    complete,
    post,
    token_ids,
    until_back,
    vllm_up,
)
from tests.integration.deployment import Up, eventually
from tests.integration.gateway.test_resume import without_details

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(1500)]

TOKENS = 200
AFTER_EVENTS = 20


@pytest.fixture(name="at", scope="module")
def _at(python: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    state = tmp_path_factory.mktemp("dp") / "s"
    with vllm_up(python, model, replicas=2, tp=1, state=state) as at:
        yield at


def test_every_replica_writes_what_the_model_says(at: Up) -> None:
    for replica in at.status().replicas:
        request = {"prompt": PROMPT, "max_tokens": len(TEXT), "temperature": 0}
        reply = json.loads(post(replica.endpoint or "", COMPLETIONS, request).body)

        assert reply["choices"][0]["text"] == TEXT


def test_the_served_model_has_the_planned_length(at: Up) -> None:
    (card,) = httpx.get(f"{at.url}/models").json()["data"]

    assert (card["id"], card["max_model_len"]) == ("tiny-llama", MAX_MODEL_LEN)


def test_a_stream_is_the_answer_in_parts(at: Up) -> None:
    body = {"prompt": PROMPT, "max_tokens": len(TEXT), "temperature": 0, "return_token_ids": True}
    (stream,) = asyncio.run(run_streams(at.root_url, [Ask(COMPLETIONS, body)]))

    assert stream.is_whole
    assert stream.events > len(TEXT)
    assert stream.text() == TEXT
    assert token_ids(stream) == complete(at, return_token_ids=True)["choices"][0]["token_ids"]


def test_ids_that_nobody_asked_for_are_not_shown(at: Up) -> None:
    (stream,) = asyncio.run(run_streams(at.root_url, [ask(1, max_tokens=8)]))

    assert b"token_ids" not in stream.body


def test_prompts_are_tokenized_by_the_engine(at: Up) -> None:
    reply = json.loads(post(at.root_url, "/tokenize", {"prompt": "héllo"}).body)

    assert reply["count"] == len("héllo".encode())


def test_metrics_of_both_engines_are_on_one_page(at: Up) -> None:
    complete(at)
    families = {family.name: family for family in metrics(at)}

    running = families["vllm:num_requests_running"].samples
    assert {sample.labels["replica"] for sample in running} == {"r0", "r1"}
    assert families["vllm:time_to_first_token_seconds"].type == "histogram"
    assert total(at, "vllm:generation_tokens") >= len(TEXT)
    assert families["replicore_engine_lines_skipped"].samples == []


def test_a_client_that_leaves_ends_the_work_for_it(at: Up) -> None:
    before, asked = total(at, "vllm:generation_tokens"), 1900
    body = {"prompt": PROMPT, "max_tokens": asked, "ignore_eos": True, "stream": True}
    with httpx.stream("POST", f"{at.url}/completions", json=body) as response:
        next(response.iter_lines())

    eventually(lambda: total(at, "vllm:num_requests_running") == 0)
    assert 0 < total(at, "vllm:generation_tokens") - before < asked


def total(at: Up, name: str) -> float:
    """Return the sum over all replicas of a counter or gauge."""
    (family,) = (one for one in metrics(at) if one.name == name)
    return sum(float(one.value) for one in family.samples if one.name in (name, f"{name}_total"))


def metrics(at: Up) -> list[Any]:
    """Return the families of the admin socket's metrics."""
    transport = httpx.HTTPTransport(uds=at.status().admin_socket)
    with httpx.Client(transport=transport) as client:
        page = client.get("http://localhost/metrics").text
    return list(text_string_to_metric_families(page))


def test_bench_counts_every_token(at: Up, tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    load = ("-n", "16", "-c", str(SLOTS), "--input-tokens", "64", "--output-tokens", "32")
    code = run(["bench", "--url", at.url, *load, "--no-calibrate", "-o", str(result)])

    found = json.loads(result.read_bytes())
    records = found["records"]
    assert code == 0
    assert found["summary"]["total"]["succeeded"] == 16
    assert {(record["input_tokens"], record["output_tokens"]) for record in records} == {(64, 32)}
    assert {record["replica"] for record in records} == {"r0", "r1"}


def kill_server(at: Up, index: int) -> None:
    """Kill the process that has the connections."""
    os.kill(server_of(at, index).pid, signal.SIGKILL)


def kill_engine_core(at: Up, index: int) -> None:
    """Kill the process that schedules: the server lives on and has errors to tell."""
    children = server_of(at, index).children()
    (core,) = (child for child in children if child.name().startswith("VLLM::EngineCor"))
    core.kill()


def server_of(at: Up, index: int) -> psutil.Process:
    return psutil.Process(at.replica(index).pid)


@pytest.mark.parametrize(("kill", "victim"), [(kill_server, 0), (kill_engine_core, 1)])
def test_streams_of_a_killed_vllm_go_on_with_the_same_tokens(
    at: Up, kill: Callable[[Up, int], None], victim: int
) -> None:
    asks = [ask(index, max_tokens=TOKENS) for index in range(SLOTS)]
    for one in asks[::2]:
        one.body["return_token_ids"] = True
    whole = asyncio.run(run_streams(at.root_url, asks))
    incarnation = at.replica(victim).incarnation
    struck = asyncio.run(
        run_streams(at.root_url, asks, strike=lambda: kill(at, victim), after_events=AFTER_EVENTS)
    )

    assert len(resumed(struck, f"r{victim}")) > 1
    assert [events_and_ids(one) for one in struck] == [events_and_ids(one) for one in whole]
    assert [len(token_ids(one)) for one in struck[::2]] == [TOKENS] * (SLOTS // 2)
    until_back(at, victim, incarnation)


def events_and_ids(stream: Stream) -> tuple[list[Any], list[int]]:
    return without_details(stream.objects()), token_ids(stream)
