from __future__ import annotations

import base64
import struct
from typing import Any

import msgspec
import pytest

from replicore.engines.sim.bodies import Embedding
from replicore.engines.sim.embedding import embedding, embeddings_body
from replicore.engines.sim.wire import Choice, Usage, Wire, model_card

USAGE = Usage(prompt_tokens=20, completion_tokens=3, cached_tokens=16)
USAGE_FIELDS = {
    "prompt_tokens": 20,
    "completion_tokens": 3,
    "total_tokens": 23,
    "prompt_tokens_details": {"cached_tokens": 16},
}


def wire(*, chat: bool = False, usage: bool = False, token_ids: bool = False) -> Wire:
    return Wire(name="1", created=5, model='m"', chat=chat, usage=usage, token_ids=token_ids)


def read(event: bytes) -> Any:
    assert event.startswith(b"data: ")
    assert event.endswith(b"\n\n")
    return msgspec.json.decode(event.removeprefix(b"data: "))


def test_completion_event_is_openai_s() -> None:
    assert read(wire().event(1, 'a"\n…', [7], None)) == {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 5,
        "model": 'm"',
        "system_fingerprint": "simulated",
        "choices": [{"index": 1, "text": 'a"\n…', "logprobs": None, "finish_reason": None}],
    }


def test_chat_event_is_openai_s() -> None:
    assert read(wire(chat=True).event(0, " a", [7], "length")) == {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 5,
        "model": 'm"',
        "system_fingerprint": "simulated",
        "choices": [
            {"index": 0, "delta": {"content": " a"}, "logprobs": None, "finish_reason": "length"}
        ],
    }


@pytest.mark.parametrize("chat", [True, False])
def test_usage_is_null_until_the_last_event(chat: bool) -> None:
    events = wire(chat=chat, usage=True)

    assert read(events.opening(0, []))["usage"] is None
    assert read(events.event(0, "a", [7], "stop"))["usage"] is None
    last = read(events.usage_event(USAGE))
    assert (last["choices"], last["usage"]) == ([], USAGE_FIELDS)


def test_usage_that_was_not_asked_for_is_absent() -> None:
    assert "usage" not in read(wire().event(0, "a", [7], None))


def test_token_ids_of_a_completion_are_in_its_choice() -> None:
    events = wire(token_ids=True)
    first = read(events.event(0, "a", [7], None, prompt_ids=[1, 2]))["choices"][0]
    later = read(events.event(0, "a", [8, 9], None))["choices"][0]

    assert (first["prompt_token_ids"], first["token_ids"]) == ([1, 2], [7])
    assert later["token_ids"] == [8, 9]
    assert "prompt_token_ids" not in later


def test_prompt_token_ids_of_a_chat_are_at_the_top_level_of_its_opening() -> None:
    opening = read(wire(chat=True, token_ids=True).opening(0, [1, 2]))

    assert opening["prompt_token_ids"] == [1, 2]
    assert opening["choices"][0]["delta"] == {"role": "assistant", "content": ""}


@pytest.mark.parametrize("chat", [True, False])
def test_whole_response_has_choices_and_usage(chat: bool) -> None:
    choice = Choice(text="ab", ids=[7, 8], finish="stop", prompt_ids=[1])
    body = msgspec.json.decode(wire(chat=chat, token_ids=True).whole([choice, choice], USAGE))
    second = body["choices"][1]

    assert body["object"] == ("chat.completion" if chat else "text_completion")
    assert body["usage"] == USAGE_FIELDS
    assert (second["index"], second["finish_reason"], second["token_ids"]) == (1, "stop", [7, 8])
    text = second["message"]["content"] if chat else second["text"]
    assert text == "ab"
    assert (body if chat else second)["prompt_token_ids"] == [1]


def test_model_card_names_device_and_speed_where_they_are_set() -> None:
    plain = model_card("m", max_model_len=9, slots=1, created=5)
    told = model_card("m", max_model_len=9, slots=1, created=5, profile="trn2", speed=20)

    assert plain["simulated"] is True
    assert told == plain | {"simulated_device": "trn2", "simulated_speed": 20}


def test_embedding_is_a_unit_vector_of_its_tokens() -> None:
    vector = embedding([1, 2], dimensions=32)

    assert len(vector) == 32
    assert sum(value * value for value in vector) == pytest.approx(1.0)
    assert vector == embedding([1, 2], dimensions=32) != embedding([12], dimensions=32)


def test_base64_embedding_holds_the_same_floats() -> None:
    request = Embedding(prompts=([1], [2, 3]), dimensions=8, base64=True)
    body = msgspec.json.decode(embeddings_body(request, model="m"))
    values = struct.unpack("<8f", base64.b64decode(body["data"][1]["embedding"]))

    assert values == pytest.approx(embedding([2, 3], dimensions=8))
    assert body["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
