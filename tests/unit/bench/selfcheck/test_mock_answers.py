from __future__ import annotations

import json
from typing import Any

import pytest

from replicore.bench.client.stream import read_stream
from replicore.bench.selfcheck.mock.answers import (
    Answers,
    Asked,
    BadBody,
    models,
    read_asked,
    tokenized,
)

ASKED = Asked(input_tokens=7, output_tokens=3, stream=True, usage=True)


def body(**fields: Any) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


def unframed(data: bytes) -> bytes:
    """Return the body of a response in chunks."""
    rest = data.partition(b"\r\n\r\n")[2]
    parts = []
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        parts.append(rest[: int(size, 16)])
        rest = rest[int(size, 16) + 2 :]
    return b"".join(parts)


@pytest.mark.parametrize("chat", [False, True])
def test_stream_has_a_chunk_for_each_token_the_counts_and_an_end(chat: bool) -> None:
    answers = Answers(chat=chat)
    stream = read_stream([(0.0, unframed(answers.first + answers.token + answers.last(ASKED, 3)))])

    assert stream.failure is None
    assert (stream.done, stream.finish_reason) == (True, "length")
    assert stream.chunk_tokens() == (1.0, 1.0, 1.0)
    assert stream.usage is not None
    assert (stream.usage.prompt_tokens, stream.usage.completion_tokens) == (7, 3)


@pytest.mark.parametrize("chat", [False, True])
def test_stream_of_one_token_is_whole_in_one_piece(chat: bool) -> None:
    data = Answers(chat=chat).only(ASKED)
    stream = read_stream([(0.0, unframed(data))])

    assert data.startswith(b"HTTP/1.1 200 ")
    assert (len(stream.chunks), stream.done) == (1, True)


def test_stream_tells_no_counts_unless_they_are_asked_for() -> None:
    asked = Asked(input_tokens=7, output_tokens=1, stream=True, usage=False)

    assert read_stream([(0.0, unframed(Answers(chat=True).only(asked)))]).usage is None


def test_whole_answer_has_all_its_tokens_at_once() -> None:
    answer = json.loads(Answers(chat=False).whole(ASKED, 3).partition(b"\r\n\r\n")[2])

    assert answer["choices"][0]["text"] == " word word word"
    assert answer["usage"]["total_tokens"] == 10


@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        ({"prompt": [5, 6, 7]}, 3),
        ({"prompt": [5]}, 1),
        ({"prompt": "one two three four"}, 4),
        ({"prompt": ""}, 1),
        ({"messages": [{"role": "user", "content": "one two"}]}, 2),
    ],
)
def test_input_tokens_are_ids_or_words(fields: dict[str, Any], tokens: int) -> None:
    assert read_asked(body(**fields)).input_tokens == tokens


@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        ({}, None),
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 6}, 6),
        ({"max_tokens": 5, "max_completion_tokens": 6}, 6),
    ],
)
def test_output_tokens_are_asked_for_under_either_name(
    fields: dict[str, Any], tokens: int | None
) -> None:
    assert read_asked(body(prompt="x", **fields)).output_tokens == tokens


def test_usage_is_sent_only_with_include_usage() -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}

    assert read_asked(body(prompt="x", stream=True, stream_options=options)).usage is True
    assert read_asked(body(prompt="x", stream=True, stream_options={})).usage is False


@pytest.mark.parametrize("data", [b"", b"[]", b'{"max_tokens": "many"}', b'{"max_tokens": 0}'])
def test_a_body_that_is_no_request_is_refused(data: bytes) -> None:
    with pytest.raises(BadBody):
        read_asked(data)


def test_tokenized_has_an_id_for_each_word_in_both_dialects() -> None:
    assert json.loads(tokenized(body(prompt="a b c")))["tokens"] == [1, 2, 3]
    assert json.loads(tokenized(body(content="a b")))["count"] == 2


def test_models_lists_one() -> None:
    assert [card["id"] for card in json.loads(models())["data"]] == ["mock"]
