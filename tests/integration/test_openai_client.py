"""The official ``openai`` client, unmodified, against two real llama.cpp replicas."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from replicore.http.fetch import fetch
from tests.integration.deployment import Up, eventually, up

pytestmark = [pytest.mark.engine, pytest.mark.slow]

MODEL = "smollm2-135m"
HELLO: list[Any] = [{"role": "user", "content": "Say hello."}]


@pytest.fixture(name="at", scope="module")
def _at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    options = ("--replicas", "2", "--tp", "1", "--set", "layout.max_model_len=512")
    with up(*options, state=tmp_path_factory.mktemp("state")) as running:
        yield running


@pytest.fixture(name="client")
def _client(at: Up) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=at.url, api_key="none", max_retries=0, timeout=60) as client:
        yield client


def busy_slots(at: Up) -> int:
    """Return how many slots work, as the engines themselves say."""
    busy = 0
    for replica in at.status().replicas:
        with urllib.request.urlopen(f"{replica.endpoint}/slots", timeout=10) as reply:
            busy += sum(slot["is_processing"] for slot in json.load(reply))
    return busy


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).id == MODEL


def test_a_chat_is_completed(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=8)

    assert answer.choices[0].message.content
    assert answer.model == MODEL
    assert answer.usage is not None
    assert answer.usage.completion_tokens <= 8


def test_a_text_is_completed(client: openai.OpenAI) -> None:
    answer = client.completions.create(model=MODEL, prompt="One, two,", max_tokens=4)

    assert answer.choices[0].text
    assert answer.choices[0].finish_reason in ("length", "stop")


def test_a_stream_ends_with_its_usage(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model=MODEL,
            messages=HELLO,
            max_tokens=8,
            stream=True,
            stream_options={"include_usage": True},
        )
    )

    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens <= 8


def test_a_stream_that_is_closed_early_frees_its_slot(at: Up, client: openai.OpenAI) -> None:
    stream = client.completions.create(
        model=MODEL, prompt="Once", max_tokens=400, stream=True, extra_body={"ignore_eos": True}
    )
    next(iter(stream))
    assert busy_slots(at) == 1

    stream.close()

    eventually(lambda: busy_slots(at) == 0)
    eventually(at.is_idle)


def test_a_stream_that_is_closed_during_prefill_frees_its_slot(at: Up) -> None:
    async def leave_during_prefill() -> None:
        words = " ".join(str(number) for number in range(100))
        body = json.dumps({"prompt": words, "stream": True, "max_tokens": 100}).encode()
        request = asyncio.create_task(
            fetch(at.root_url, "POST", "/v1/completions", body=body, timeout=60)
        )
        while await asyncio.to_thread(busy_slots, at) == 0:
            assert not request.done()
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)

    asyncio.run(leave_during_prefill())

    eventually(lambda: busy_slots(at) == 0)
    eventually(at.is_idle)


def test_a_wrong_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="does not exist") as caught:
        client.chat.completions.create(model="gpt-9", messages=HELLO)

    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_an_unknown_path_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="there is no GET /v1/nowhere"):
        client.get("/nowhere", cast_to=object)


def test_bad_json_is_a_bad_request(at: Up) -> None:
    reply = asyncio.run(
        fetch(at.root_url, "POST", "/v1/chat/completions", body=b'{"model":', timeout=60)
    )

    assert reply.status == 400
    assert "not valid JSON" in json.loads(reply.body)["error"]["message"]


def test_a_prompt_of_1_mb_gets_the_engines_own_error(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="exceeds the available context size"):
        client.completions.create(model=MODEL, prompt="x y " * 250_000, max_tokens=1)


def test_100_streams_at_once_all_end(at: Up) -> None:
    async def one(client: openai.AsyncOpenAI, index: int) -> str | None:
        stream = await client.completions.create(
            model=MODEL, prompt=f"{index}", max_tokens=4, stream=True
        )
        reasons = [chunk.choices[0].finish_reason async for chunk in stream if chunk.choices]
        return reasons[-1]

    async def test() -> list[str | None]:
        async with openai.AsyncOpenAI(base_url=at.url, api_key="none", max_retries=0) as client:
            return await asyncio.gather(*(one(client, index) for index in range(100)))

    reasons = asyncio.run(test())

    assert len(reasons) == 100
    assert set(reasons) <= {"length", "stop"}
    eventually(at.is_idle)
