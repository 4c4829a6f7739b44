"""The body of a request."""

from __future__ import annotations

import json

from replicore.bench.llmperf.bodies import chat_body


def test_body_has_the_keys_of_llmperf_in_their_order() -> None:
    body = json.loads(chat_body("tiny", "hello", {"max_tokens": 5, "top_k": 50}))

    assert list(body) == ["model", "messages", "stream", "max_tokens", "top_k"]
    assert body["messages"] == [
        {"role": "system", "content": ""},
        {"role": "user", "content": "hello"},
    ]
    assert body["stream"] is True


def test_body_asks_for_usage_where_that_is_wanted() -> None:
    body = json.loads(chat_body("tiny", "hello", {}, usage=True))

    assert body["stream_options"] == {"include_usage": True}


def test_sampling_parameters_replace_any_key() -> None:
    body = json.loads(chat_body("tiny", "hello", {"stream": False, "model": "x"}, usage=True))

    assert (body["stream"], body["model"]) == (False, "x")
