from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from replicore.gateway.resume.continuation import CHAT, Wanted
from replicore.gateway.resume.seam import Seam
from replicore.gateway.resume.sent import Obstacle, SentStream


def wanted(**fields: Any) -> Wanted:
    messages = [{"role": "user", "content": "hi"}]
    body = {"model": "m", "stream": True, "messages": messages, **fields}
    return Wanted(CHAT, json.dumps(body).encode())


def seam(sent: SentStream, asked: Wanted, *, skip: str = "", skip_ids: Sequence[int] = ()) -> Seam:
    return Seam(sent, asked, skip=skip, skip_ids=skip_ids, prompt_tokens=10, sent_tokens=2)


def chunk(text: str, *, finish: str | None = None, usage: Any = None, **choice: Any) -> bytes:
    fields = {"index": 0, "text": text, "finish_reason": finish, **choice}
    body = {"id": "new", "object": "text_completion", "choices": [fields], "usage": usage}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def chat_so_far() -> SentStream:
    sent = SentStream()
    choice = {"index": 0, "delta": {"content": "a"}, "logprobs": None, "finish_reason": None}
    event = {"id": "old", "object": "chat.completion.chunk", "created": 5, "choices": [choice]}
    sent.keep(b"data: " + json.dumps(event).encode() + b"\n\n")
    sent.read()
    return sent


def objects(events: bytes) -> list[Any]:
    lines = [part.removeprefix(b"data: ") for part in events.split(b"\n\n") if part]
    return [line.decode() if line == b"[DONE]" else json.loads(line) for line in lines]


@pytest.mark.parametrize(
    "payload",
    [b"[1]", b"5", b'{"choices": [1]}', b'{"choices": [{"text": 5}]}', b'{"choices": [{}, {}]}'],
)
def test_events_that_are_not_openais_raise(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        seam(chat_so_far(), wanted()).feed(b"data: " + payload + b"\n\n")


def test_the_clients_events_keep_their_id_and_shape() -> None:
    events = seam(chat_so_far(), wanted()).feed(
        chunk("b", token_ids=[4]) + chunk("", finish="stop")
    )

    word, end = objects(events)
    assert (word["id"], word["object"], word["created"]) == ("old", "chat.completion.chunk", 5)
    assert word["choices"][0]["delta"] == {"content": "b"}
    assert (end["choices"][0]["delta"], end["choices"][0]["finish_reason"]) == ({}, "stop")


def test_usage_counts_both_halves_and_only_where_it_is_wanted() -> None:
    usage = {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}
    last = b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n"
    asked = wanted(stream_options={"include_usage": True})

    (event,) = objects(seam(chat_so_far(), asked).feed(last))

    assert event["usage"] == {"prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 17}
    assert seam(chat_so_far(), wanted()).feed(last) == b""


def test_what_the_client_has_of_a_token_is_not_sent_again() -> None:
    at = seam(chat_so_far(), wanted(), skip="wor")

    text = [o["choices"][0]["delta"] for o in objects(at.feed(chunk("wo") + chunk("rd")))]

    assert text == [{"content": "d"}]


def test_a_token_that_comes_out_differently_is_an_obstacle() -> None:
    with pytest.raises(Obstacle, match="last token"):
        seam(chat_so_far(), wanted(), skip="wor").feed(chunk("wx"))


def test_ids_that_the_client_has_are_not_named_again() -> None:
    going_on = seam(chat_so_far(), wanted(return_token_ids=True), skip_ids=[7, 8])

    assert going_on.feed(chunk("", token_ids=[7])) == b""
    (event,) = objects(going_on.feed(chunk("b", token_ids=[8, 9])))
    assert event["choices"][0]["token_ids"] == [9]


def test_ids_that_come_out_differently_are_an_obstacle() -> None:
    going_on = seam(chat_so_far(), wanted(return_token_ids=True), skip_ids=[7, 8])

    with pytest.raises(Obstacle, match="repeats the last tokens differently"):
        going_on.feed(chunk("b", token_ids=[7, 9]))


def test_what_stopped_the_engine_is_told() -> None:
    going_on = seam(chat_so_far(), wanted(stop=["x"]))

    (first,) = objects(going_on.feed(chunk("b", stop_reason=None)))
    (last,) = objects(going_on.feed(chunk("", finish="stop", stop_reason="x")))
    assert "stop_reason" not in first["choices"][0]
    assert last["choices"][0]["stop_reason"] == "x"


def test_a_stream_that_only_lacks_its_end_is_ended() -> None:
    asked = wanted(stream_options={"include_usage": True})

    end, usage, done = objects(seam(chat_so_far(), asked).finish("length"))

    assert end["choices"][0]["finish_reason"] == "length"
    assert usage["usage"]["completion_tokens"] == 2
    assert done == "[DONE]"
