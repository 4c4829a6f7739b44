"""Request bodies: the right fields, and later turns made of the answers before them."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from replicore.bench.load.bodies import (
    Envelope,
    LaterTurn,
    counted,
    message,
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


def later(api: Api, opening: tuple[bytes, ...] = ()) -> LaterTurn:
    return LaterTurn(Envelope(api, b'{"model":"tiny"'), opening, (b'"one"', b'"two"'), 5)


def test_later_turn_of_a_chat_carries_the_answers_between_the_questions() -> None:
    system = message("system", b'"be brief"')
    fields = json.loads(later(Api.CHAT, (system,))(['an "answer"\n']))

    assert fields["max_tokens"] == 5
    assert [(said["role"], said["content"]) for said in fields["messages"]] == [
        ("system", "be brief"),
        ("user", "one"),
        ("assistant", 'an "answer"\n'),
        ("user", "two"),
    ]


def test_later_turn_of_a_text_goes_on_from_the_answers() -> None:
    fields = json.loads(later(Api.COMPLETIONS, (b'"once"',))(['an "answer"\n']))

    assert fields["prompt"] == 'once one an "answer"\n two'


def test_first_turn_needs_no_answers() -> None:
    first = LaterTurn(Envelope(Api.COMPLETIONS, b'{"model":"tiny"'), (), (b'"one"',), 5)

    assert json.loads(first(()))["prompt"] == "one"


def test_later_turn_can_be_sent_to_another_process() -> None:
    turn = later(Api.CHAT)

    assert pickle.loads(pickle.dumps(turn))(["x"]) == turn(["x"])


def test_later_turn_with_answers_missing_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        later(Api.CHAT)([])
