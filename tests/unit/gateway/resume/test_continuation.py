from __future__ import annotations

import json
from typing import Any

import pytest

from replicore.gateway.resume.continuation import (
    CHAT,
    COMPLETIONS,
    Wanted,
    continuation_body,
    tokens_left,
)
from replicore.gateway.resume.sent import Obstacle

MESSAGES = [{"role": "user", "content": "hi"}]


def wanted(path: str = CHAT, **fields: Any) -> Wanted:
    prompt = {"messages": MESSAGES} if path == CHAT else {"prompt": "hi"}
    return Wanted(path, json.dumps({"model": "m", "stream": True, **prompt, **fields}).encode())


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"n": 2}, "choices"),
        ({"best_of": 2}, "choices"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 3}, "logprobs"),
        ({"tools": [{}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "grammar"),
        ({"grammar": "root"}, "grammar"),
        ({"echo": True}, "parameter"),
        ({"unheard_of": 1}, "parameter"),
        ({"stream_options": {"continuous_usage_stats": True}}, "parameter"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "multimodal"),
        ({"messages": "hi"}, "unreadable"),
    ],
)
def test_a_request_that_cannot_be_continued_says_why(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(Obstacle) as caught:
        wanted(**fields)

    assert caught.value.reason == reason


@pytest.mark.parametrize("options", [5, "a", [{}], {"other": 1}])
def test_odd_stream_options_are_an_obstacle(options: Any) -> None:
    with pytest.raises(Obstacle, match="stream_options"):
        wanted(stream_options=options)


@pytest.mark.parametrize("prompt", [["a", "b"], [[1], [2]], None])
def test_several_prompts_cannot_be_continued(prompt: Any) -> None:
    with pytest.raises(Obstacle):
        wanted(COMPLETIONS, prompt=prompt)


def test_other_routes_cannot_be_continued() -> None:
    with pytest.raises(Obstacle, match="/v1/responses"):
        Wanted("/v1/responses", b"{}")


def test_harmless_parameters_are_no_obstacle() -> None:
    harmless: dict[str, Any] = {
        "n": 1,
        "logprobs": False,
        "tools": [],
        "response_format": {"type": "text"},
    }
    text = [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]

    assert wanted(**harmless, messages=text, suffix=None).chat


# max_tokens, sent, length -> left: the smaller of what was wanted and of the room there is
@pytest.mark.parametrize(
    ("path", "max_tokens", "sent", "length", "left"),
    [
        (CHAT, 40, 15, 8192, 25),
        (CHAT, None, 15, 8192, 8167),  # 8192 - 10 - 15
        (CHAT, 9000, 15, 8192, 8167),
        (CHAT, None, 15, None, None),
        (COMPLETIONS, None, 3, 8192, 13),  # OpenAI's default of 16
        (CHAT, 15, 15, 8192, 0),
    ],
)
def test_the_tokens_left_are_those_that_were_not_sent(
    path: str, max_tokens: int | None, sent: int, length: int | None, left: int | None
) -> None:
    asked = wanted(path, **({"max_tokens": max_tokens} if max_tokens else {}))

    assert tokens_left(asked, prompt=10, sent=sent, max_model_len=length) == left


def test_a_completion_of_an_engine_without_a_default_limit_has_all_the_room() -> None:
    left = tokens_left(wanted(COMPLETIONS), prompt=10, sent=20, max_model_len=100, endless=True)

    assert left == 70


def test_a_completion_without_a_limit_ends_after_openais_default_whatever_the_length() -> None:
    assert tokens_left(wanted(COMPLETIONS), prompt=10, sent=3, max_model_len=None) == 13


def test_the_continuation_goes_on_after_the_tokens_sent() -> None:
    asked = wanted(temperature=0.5, stop=["x"], max_completion_tokens=9, min_tokens=5)

    body = json.loads(continuation_body(asked, [1, 2], [3], left=8, name_ids=True))

    assert body == {
        "model": "m",
        "prompt": [1, 2, 3],
        "temperature": 0.5,
        "stop": ["x"],
        "max_tokens": 8,
        "min_tokens": 4,
        "stream": True,
        "return_token_ids": True,
    }


def test_usage_is_asked_for_where_the_client_wants_it() -> None:
    asked = wanted(stream_options={"include_usage": True})

    body = json.loads(continuation_body(asked, [1], [], left=None))

    assert body["stream_options"] == {"include_usage": True}
