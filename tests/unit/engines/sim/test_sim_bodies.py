from __future__ import annotations

from typing import Any

import msgspec
import pytest

from replicore.engines.sim.bodies import BodyReader, Generation, RequestError
from replicore.engines.sim.tokenizer import VOCABULARY, tokenize

HI = [{"role": "user", "content": "hi"}]
PARTS = [
    {"role": "user", "content": [{"type": "text", "text": "h"}, {"type": "text", "text": "i"}]}
]


def reader() -> BodyReader:
    return BodyReader(model="m", max_model_len=100)


def completion(**body: Any) -> Generation:
    return reader().completion(msgspec.json.encode(body))


def chat(**body: Any) -> Generation:
    return reader().chat(msgspec.json.encode(body))


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        ("a b", ([2, 5],)),
        ([2, 5], ([2, 5],)),
        (["a", " b"], ([2], [5])),
        ([[2], [5]], ([2], [5])),
    ],
)
def test_prompt_is_text_or_tokens_or_a_list_of_either(prompt: Any, prompts: Any) -> None:
    assert completion(prompt=prompt).prompts == prompts


@pytest.mark.parametrize(
    ("messages", "options", "text"),
    [
        (HI, {}, "[user]\nhi\n[assistant]\n"),
        (HI, {"add_generation_prompt": False}, "[user]\nhi\n"),
        (PARTS, {}, "[user]\nhi\n[assistant]\n"),
        ([{"role": "system", "content": None}], {}, "[system]\n\n[assistant]\n"),
        (
            [*HI, {"role": "assistant", "content": "lomi"}],
            {"add_generation_prompt": False, "continue_final_message": True},
            "[user]\nhi\n[assistant]\nlomi",
        ),
    ],
)
def test_messages_become_a_prompt(messages: Any, options: dict[str, bool], text: str) -> None:
    assert chat(messages=messages, **options).prompts == (tokenize(text),)


@pytest.mark.parametrize(
    ("generation", "max_tokens"),
    [
        (completion(prompt="a"), 16),
        (completion(prompt=["a"] * 3 + [" a" * 90]), 10),  # 90 tokens leave 10 of 100
        (completion(prompt="a", max_tokens=99), 99),
        (chat(messages=HI), 100 - 12),
        (chat(messages=HI, max_tokens=5), 5),
        (chat(messages=HI, max_tokens=5, max_completion_tokens=6), 6),
    ],
)
def test_max_tokens_is_as_asked_or_what_fits(generation: Generation, max_tokens: int) -> None:
    assert generation.max_tokens == max_tokens


def test_null_means_the_default() -> None:
    nulls = dict.fromkeys(("model", "max_tokens", "n", "stop", "stream", "stream_options"))

    assert completion(prompt="a", **nulls) == completion(prompt="a")


def test_unknown_keys_are_left_alone() -> None:
    assert completion(prompt="a", temperature=0.5, seed=1) == completion(prompt="a")


@pytest.mark.parametrize(("stop", "stops"), [("x", ("x",)), (["x", "y"], ("x", "y")), ("", ())])
def test_stop_is_a_string_or_a_list(stop: Any, stops: tuple[str, ...]) -> None:
    assert completion(prompt="a", stop=stop).stop == stops


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "the body is not valid JSON"),
        (b"\xff", "the body is not valid JSON"),
        (b'{"prompt":"\xff"}', "the body is not valid JSON"),
        (b"[]", "Expected `object`"),
        (b"{}", "missing required field `prompt`"),
        (b'{"prompt":1}', "$.prompt"),
        (b'{"prompt":""}', "prompt must not be empty"),
        (b'{"prompt":[]}', "prompt must not be empty"),
        (b'{"prompt":["a",""]}', "prompt must not be empty"),
        (b'{"prompt":[1,"a"]}', "token ids and texts cannot be mixed"),
        (b'{"prompt":[%d]}' % VOCABULARY, "Expected `int` <="),
        (b'{"prompt":[-1]}', "Expected `int` >= 0"),
        (b'{"prompt":"a","max_tokens":0}', "$.max_tokens"),
        (b'{"prompt":"a","n":0}', "$.n"),
    ],
)
def test_wrong_completion_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        reader().completion(body)

    assert caught.value.status == 400
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"messages": []}, "at least one message is required"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "$.messages"),
        ({"messages": HI, "continue_final_message": True}, "add_generation_prompt to be false"),
    ],
)
def test_wrong_chat_is_refused(body: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError) as caught:
        chat(**body)

    assert message in caught.value.message


@pytest.mark.parametrize(
    "body",
    [{"prompt": " a" * 101}, {"prompt": "a", "max_tokens": 100}, {"prompt": " a" * 100}],
)
def test_more_tokens_than_the_model_takes_are_refused(body: dict[str, Any]) -> None:
    with pytest.raises(RequestError) as caught:
        completion(**body)

    assert caught.value.code == "context_length_exceeded"
    assert "maximum context length is 100 tokens" in caught.value.message


def test_other_model_is_not_found() -> None:
    with pytest.raises(RequestError) as caught:
        completion(prompt="a", model="other")

    assert (caught.value.status, caught.value.code) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"prompt": "a"}, "a"),
        ({"content": "a"}, "a"),
        ({"messages": HI}, "[user]\nhi\n[assistant]\n"),
    ],
)
def test_text_to_tokenize_has_three_names(body: dict[str, Any], text: str) -> None:
    assert reader().text(msgspec.json.encode(body)) == text


def test_text_to_tokenize_is_required() -> None:
    with pytest.raises(RequestError, match="one of prompt, content and messages is required"):
        reader().text(b"{}")
