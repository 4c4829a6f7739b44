from __future__ import annotations

import json
from typing import Any

import pytest

from replicore.gateway.resume.sent import Obstacle, SentStream


def event(**fields: Any) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


def delta(content: str | None = None, **fields: Any) -> bytes:
    """A chat event; what is not of the choice itself goes into its delta."""
    choice = {name: fields.pop(name) for name in ("finish_reason", "token_ids") if name in fields}
    return event(id="1", choices=[{"index": 0, "delta": {"content": content, **fields}, **choice}])


def read(*events: bytes) -> SentStream:
    sent = SentStream()
    for one in events:
        sent.keep(one)
    sent.read()
    return sent


def test_text_and_ids_are_put_together() -> None:
    sent = read(
        event(choices=[{"index": 0, "delta": {"role": "assistant"}}], prompt_token_ids=[1, 2]),
        delta("a", token_ids=[7]),
        delta("b", token_ids=[8, 9]),
    )

    assert (sent.text, sent.ids, sent.prompt_ids) == ("ab", [7, 8, 9], [1, 2])
    assert (sent.lagging, sent.finish_reason) == (False, None)


def test_a_completion_is_read_likewise() -> None:
    choice = {"index": 0, "text": "a", "token_ids": [3], "prompt_token_ids": [1]}
    sent = read(event(choices=[choice]))

    assert (sent.text, sent.ids, sent.prompt_ids) == ("a", [3], [1])


def test_ids_without_text_lag() -> None:
    assert read(delta("a", token_ids=[1]), delta("", token_ids=[2])).lagging


def test_the_end_is_noticed() -> None:
    sent = read(
        delta("a"),
        delta(None, finish_reason="stop"),
        event(choices=[], usage={"prompt_tokens": 1}),
        b"data: [DONE]\n\n",
    )

    assert (sent.finish_reason, sent.usage_sent) == ("stop", True)


def test_comments_are_nothing() -> None:
    sent = read(b": ping\n\n")

    assert (sent.text, sent.template) == ("", None)


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        (delta(None, tool_calls=[{"index": 0}]), "tools"),
        (event(choices=[{"index": 1, "text": "a"}]), "choices"),
        (event(choices=[{"index": 0, "text": "a"}, {"index": 1, "text": "b"}]), "choices"),
        (event(choices=[{"index": 0, "text": "a", "logprobs": {"tokens": []}}]), "logprobs"),
        (delta(None, refusal="no"), "unreadable"),
        (b"data: {nonsense\n\n", "unreadable"),
        (b'data: {"choices": 7}\n\n', "unreadable"),
        (b'data: "\xff"\n\n', "unreadable"),
    ],
)
def test_what_cannot_be_continued_says_why(events: bytes, reason: str) -> None:
    with pytest.raises(Obstacle) as caught:
        read(delta("a"), events)

    assert caught.value.reason == reason


def test_a_long_stream_is_read_on_the_way_and_stays_small() -> None:
    sent = SentStream()
    for _ in range(20_000):
        sent.keep(delta("word ", token_ids=[5]))
    kept = sum(map(len, sent._kept))
    sent.read()

    assert kept <= 300_000
    assert (len(sent.text), sent.ids) == (100_000, [5] * 20_000)
