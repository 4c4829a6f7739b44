"""What clients see of the simulator: the official client, raw bytes, and the readiness check."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import openai
import pytest

from replicore.cores import CoreRange
from replicore.engines.engine import ReplicaPlan
from replicore.engines.sim.engine import SimEngine
from replicore.engines.sim.stand_in import simulated_model
from replicore.errors import ReplicaStartError
from replicore.spec import EngineSpec, ModelSpec
from tests.integration.simulator import TIMEOUT_S, Simulator, eventually, read_all, simulator

HI: Any = [{"role": "user", "content": "hi"}]


@pytest.fixture(name="sim", scope="module")
def shared_simulator() -> Iterator[Simulator]:
    with simulator("--model", "m", "--max-model-len", "512") as sim:
        yield sim


@pytest.fixture(name="client", scope="module")
def shared_client(sim: Simulator) -> Iterator[openai.OpenAI]:
    url = f"{sim.endpoint}/v1"
    with openai.OpenAI(base_url=url, api_key="-", max_retries=0, timeout=TIMEOUT_S) as client:
        yield client


def test_models_say_that_they_are_simulated(client: openai.OpenAI) -> None:
    models = client.models.list().data

    assert [model.id for model in models] == ["m"]
    assert models[0].to_dict()["simulated"] is True
    assert client.models.retrieve("m").id == "m"


def test_chat_completion(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(model="m", messages=HI)
    choice = completion.choices[0]

    assert choice.message.role == "assistant"
    assert choice.message.content is not None
    assert choice.message.content.startswith("dula nitu ripu")
    assert choice.finish_reason == "stop"
    assert completion.system_fingerprint == "simulated"


def test_chat_stream_adds_up_to_the_whole_answer(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="m", messages=HI, max_tokens=20)
    stream = client.chat.completions.create(
        model="m",
        messages=HI,
        max_tokens=20,
        stream=True,
        stream_options={"include_usage": True},
    )
    *chunks, last = stream
    deltas = [chunk.choices[0].delta for chunk in chunks]

    assert deltas[0].role == "assistant"
    assert "".join(delta.content or "" for delta in deltas) == whole.choices[0].message.content
    assert chunks[-1].choices[0].finish_reason == "length"
    assert [chunk.usage for chunk in chunks] == [None] * 21
    assert last.usage is not None
    assert (last.choices, last.usage.completion_tokens) == ([], 20)


def test_completion_of_several_prompts_and_choices(client: openai.OpenAI) -> None:
    completion = client.completions.create(model="m", prompt=["hello", "world"], n=2, max_tokens=3)
    texts = [choice.text for choice in completion.choices]

    assert [choice.index for choice in completion.choices] == [0, 1, 2, 3]
    assert texts[0] == texts[1] == " lomi sapu lofa"
    assert texts[2] == texts[3] != texts[0]
    assert completion.usage is not None
    assert completion.usage.prompt_tokens == 4
    assert completion.usage.completion_tokens == 12


def test_stream_of_several_choices_has_each_whole(client: openai.OpenAI) -> None:
    texts = {0: "", 1: ""}
    stream = client.completions.create(model="m", prompt="hello", n=2, max_tokens=3, stream=True)
    for chunk in stream:
        texts[chunk.choices[0].index] += chunk.choices[0].text

    assert texts == {0: " lomi sapu lofa", 1: " lomi sapu lofa"}


def test_stop_string_ends_a_stream_before_itself(client: openai.OpenAI) -> None:
    stream = client.completions.create(
        model="m", prompt="hello", stop="pu lo", max_tokens=50, stream=True
    )
    choices = [chunk.choices[0] for chunk in stream]

    assert "".join(choice.text for choice in choices) == " lomi sa"
    assert choices[-1].finish_reason == "stop"


def test_embeddings(client: openai.OpenAI) -> None:
    first, second = client.embeddings.create(model="m", input=["hello", "world"]).data
    plain = client.embeddings.create(model="m", input="world", encoding_format="float").data[0]

    assert len(first.embedding) == 64
    assert first.embedding != second.embedding
    assert plain.embedding == pytest.approx(second.embedding, abs=1e-6)


def test_wrong_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="other", messages=HI)

    assert caught.value.code == "model_not_found"


def test_too_long_prompt_is_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model="m", prompt=" a" * 500_000)

    assert caught.value.code == "context_length_exceeded"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/completions", b"{", 400),
        ("POST", "/v1/nothing", b"{}", 404),
        ("GET", "/v1/models/other", None, 404),
        ("GET", "/v1/completions", None, 405),
    ],
)
def test_error_has_openai_s_shape(
    sim: Simulator, method: str, path: str, body: bytes | None, status: int
) -> None:
    response, data = sim.request(method, path, body)

    assert response.status == status
    assert response.headers["x-replicore-simulated"] == "1"
    assert set(json.loads(data)["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("path", ["/health", "/v1/models", "/metrics"])
def test_every_response_says_that_it_is_simulated(sim: Simulator, path: str) -> None:
    response, _ = sim.request("GET", path)

    assert (response.status, response.headers["x-replicore-simulated"]) == (200, "1")


def test_tokenize_and_detokenize_are_each_other_s_inverse(sim: Simulator) -> None:
    tokenized = sim.post("/tokenize", prompt="Hello, wörld")

    assert tokenized["count"] == len(tokenized["tokens"])
    assert tokenized["max_model_len"] == 512
    assert sim.post("/detokenize", tokens=tokenized["tokens"]) == {"prompt": "Hello, wörld"}
    assert sim.post("/tokenize", content="Hello, wörld")["tokens"] == tokenized["tokens"]


def test_stream_is_server_sent_events_in_chunks(sim: Simulator) -> None:
    with sim.open_stream(max_tokens=2) as sock:
        head, _, body = read_all(sock).partition(b"\r\n\r\n")
    events = b"".join(re.split(rb"[\da-f]+\r\n|\r\n", body)).decode()
    events = re.sub(r'"id":"cmpl-\w+"', '"id":"cmpl-1"', events)
    events = re.sub(r'"created":\d+', '"created":5', events)
    top = '"id":"cmpl-1","object":"text_completion","created":5,"model":"m"'
    top = f'data: {{{top},"system_fingerprint":"simulated","choices":[{{"index":0,'

    assert b"content-type: text/event-stream" in head
    assert b"x-replicore-simulated: 1" in head
    assert events == (
        f'{top}"text":" lomi","logprobs":null,"finish_reason":null}}]}}\n\n'
        f'{top}"text":" sapu","logprobs":null,"finish_reason":"length"}}]}}\n\n'
        "data: [DONE]\n\n"
    )
    assert body.endswith(b"\r\n0\r\n\r\n")


@pytest.mark.parametrize("split", [1, 20, 57])
def test_continuation_from_token_ids_is_the_same_on_another_simulator(
    sim: Simulator, split: int
) -> None:
    whole = sim.complete(max_tokens=100, return_token_ids=True)
    sent = whole["token_ids"][:split]
    prompt = whole["prompt_token_ids"] + sent
    with simulator() as other:
        rest = other.complete(prompt=prompt, max_tokens=100 - split, return_token_ids=True)

    assert sent + rest["token_ids"] == whole["token_ids"]
    assert whole["text"].endswith(rest["text"])


@pytest.mark.parametrize("words", [0, 4, 10, 1000])
def test_chat_continued_from_its_text_is_the_same(sim: Simulator, words: int) -> None:
    def answer(**body: Any) -> str:
        text = sim.post("/v1/chat/completions", **body)["choices"][0]["message"]["content"]
        return str(text)

    whole = answer(messages=HI)
    sent = " ".join(whole.split(" ")[:words])
    messages = [*HI, {"role": "assistant", "content": sent}]
    rest = answer(messages=messages, continue_final_message=True, add_generation_prompt=False)

    assert sent + rest == whole


def test_cached_prompt_tokens_are_in_usage(sim: Simulator) -> None:
    prompt = " cached" * 20  # 40 tokens: two full blocks of 16
    cached = []
    for _ in range(2):
        usage = sim.post("/v1/completions", prompt=prompt)["usage"]
        cached.append(usage["prompt_tokens_details"]["cached_tokens"])

    assert cached == [0, 32]


@pytest.mark.parametrize(
    ("options", "body"),
    [
        (["--prefill-tokens-per-s=10"], {"prompt": " a" * 400}),
        (["--prefill-tokens-per-s=10"], {"prompt": " a" * 400, "stream": False}),
        (["--decode-tokens-per-s=1"], {"ignore_eos": True, "max_tokens": 400}),
    ],
    ids=["prefill", "prefill of a whole answer", "stream"],
)
def test_client_that_leaves_frees_its_slot(options: list[str], body: dict[str, Any]) -> None:
    with simulator("--slots=1", *options) as sim:
        with sim.open_stream(**body), sim.open_stream(**body):
            eventually(lambda: sim.metric("num_requests_waiting") == 1)
            assert sim.metric("num_requests_running") == 1

        eventually(lambda: sim.metric("num_requests_running") == 0)
        assert sim.metric("num_requests_waiting") == 0
        assert sim.metric('request_success_total{finished_reason="abort"') == 2


def test_client_that_does_not_read_gets_everything_later() -> None:
    with (
        simulator("--max-model-len=32768", "--decode-tokens-per-s=1e6") as sim,
        sim.open_stream(max_tokens=20_000, ignore_eos=True, receive_buffer=4096) as sock,
    ):
        eventually(lambda: sim.metric('request_success_total{finished_reason="length"') == 1)
        received = read_all(sock)

    assert received.count(b'"text":') == 20_000
    assert received.endswith(b"\r\n0\r\n\r\n")


def test_card_says_which_device_is_simulated_and_how_fast() -> None:
    with simulator("--profile=trn2", "--tp=8", "--speed=50") as sim:
        card = json.loads(sim.request("GET", "/v1/models")[1])["data"][0]

    assert (card["simulated"], card["simulated_device"]) == (True, "trn2")
    assert card["simulated_speed"] == 50


@pytest.mark.parametrize("batching", ["independent", "continuous", "static"])
def test_text_is_the_same_with_any_batching(sim: Simulator, batching: str) -> None:
    whole = sim.complete(max_tokens=200, return_token_ids=True)
    with simulator(f"--batching={batching}", "--decode-tokens-per-s=1e5") as other:
        found = other.complete(max_tokens=200, return_token_ids=True)

    assert found["token_ids"] == whole["token_ids"]


def test_small_kv_cache_preempts_and_every_stream_still_ends() -> None:
    options = ("--batching=continuous", "--kv-tokens=160", "--decode-tokens-per-s=1e4")
    with simulator(*options) as sim, ExitStack() as stack:
        socks = [
            stack.enter_context(sim.open_stream(max_tokens=60, ignore_eos=True)) for _ in range(6)
        ]
        received = [read_all(sock) for sock in socks]
        preemptions = sim.metric("num_preemptions_total")

    assert [data.count(b'"text":') for data in received] == [60] * 6
    assert preemptions > 0


def replica(sim: Simulator, *, slots: int) -> ReplicaPlan:
    return ReplicaPlan(
        index=0,
        cores=CoreRange.of([0]),
        batch_size=slots,
        max_model_len=512,
        model=simulated_model(ModelSpec(served_name="m")),
        host=sim.host,
        port=sim.port,
    )


def test_engine_finds_its_replica_ready(sim: Simulator) -> None:
    asyncio.run(SimEngine(EngineSpec(kind="sim")).check_ready(replica(sim, slots=16)))


def test_engine_refuses_a_replica_with_other_limits(sim: Simulator) -> None:
    with pytest.raises(ReplicaStartError, match=r"layout\.batch_size"):
        asyncio.run(SimEngine(EngineSpec(kind="sim")).check_ready(replica(sim, slots=8)))
