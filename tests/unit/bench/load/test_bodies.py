"""Request bodies: the right fields."""

from __future__ import annotations

import json
from typing import Any

import pytest

from replicore.bench.load.bodies import (
    counted,
    route,
    streamed,
    text_prompt,
)
from replicore.bench.load.workload import Api, Workload


def body(workload: Workload, prompt: bytes = b"[1,2]", tokens: int = 3) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(streamed("tiny", workload).body(prompt, tokens))
    return found


def test_body_asks_for_a_greedy_stream_with_usage_and_the_full_output() -> None:
    assert body(Workload()) == {
        "model": "tiny",
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
        "ignore_eos": True,
        "max_tokens": 3,
        "prompt": [1, 2],
    }


def test_body_leaves_the_end_of_sequence_to_the_model_when_told() -> None:
    assert "ignore_eos" not in body(Workload(ignore_eos=False))


def test_body_of_a_chat_has_messages() -> None:
    found = body(Workload(api=Api.CHAT), text_prompt(Api.CHAT, 'a "b"'))

    assert found["messages"] == [{"role": "user", "content": 'a "b"'}]
    assert "prompt" not in found


def test_extra_fields_win_over_ours() -> None:
    found = body(Workload(extra={"temperature": 0.7, "top_k": 50}))

    assert (found["temperature"], found["top_k"]) == (0.7, 50)


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_extra_output_limit_replaces_the_drawn_one(name: str) -> None:
    envelope = streamed("tiny", Workload(extra={name: 9}))
    fields = json.loads(envelope.body(b'"x"', 3))

    assert fields[name] == 9
    assert ("max_tokens" in fields) == (name == "max_tokens")
    assert envelope.asked(3) == 9


def test_counting_body_is_no_stream() -> None:
    fields = json.loads(counted("tiny", Api.COMPLETIONS).body(b'"x"', 1))

    assert fields == {"model": "tiny", "temperature": 0, "max_tokens": 1, "prompt": "x"}


def test_routes_are_openai_s() -> None:
    assert [route(api) for api in Api] == ["/v1/completions", "/v1/chat/completions"]
