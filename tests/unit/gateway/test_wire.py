from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicore.engines.engine import EngineTraits
from replicore.gateway.wire import (
    EventGate,
    ask_the_engine,
    examine,
    request_headers,
    response_headers,
    usage_of,
    without_token_ids,
)

ALL = EngineTraits(prompt_progress=True, token_ids=True)

PROGRESS = b'data: {"prompt_progress":{"processed":16}}\n\n'
ROLE = b'data: {"choices":[{"delta":{"role":"assistant"}}]}\n\n'
WORD = b'data: {"choices":[{"delta":{"content":"\\"prompt_progress\\""}}]}\n\n'
DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize("body", [b"{}", b"{ \n}", b' { "stream":true}', b'{\n"a": {}}'])
def test_asking_the_engine_adds_keys_and_changes_nothing_else(body: bytes) -> None:
    start, asked, taken_out = ask_the_engine(body, ALL, ids=True)

    asking = body[:start] + asked + body[start:]
    added = {"return_progress": True, "return_token_ids": True}
    assert json.loads(asking) == json.loads(body) | added
    assert (taken_out.progress, taken_out.ids) == (True, True)


def test_what_a_client_asks_for_itself_is_left_alone() -> None:
    body = b'{"return_progress": true, "return_token_ids": false}'

    _, asked, taken_out = ask_the_engine(body, ALL, ids=True)

    assert (asked, taken_out.progress, taken_out.ids) == (b"", False, False)


IDS = b'data: {"choices":[{"text":"a","token_ids":[1,2],"stop":null}]}\n\n'
NO_IDS = b'data: {"choices":[{"text":"a","stop":null}]}\n\n'
FIRST = b'data: {"choices":[{"text":"a","prompt_token_ids":[7],"token_ids":[1]}]}\n\n'
NULL = b'data: {"choices":[{"text":"a","token_ids":null}]}\n\n'
TEXT = b'data: {"choices":[{"text":",\\"token_ids\\":[1]"}]}\n\n'
PLAIN = b'data: {"choices":[{"text":"a"}]}\n\n'


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (IDS, NO_IDS),
        (IDS * 3, NO_IDS * 3),
        (FIRST, PLAIN),
        (FIRST + IDS, PLAIN + NO_IDS),
        (TEXT, TEXT),
        (TEXT + IDS + TEXT, TEXT + NO_IDS + TEXT),
        (DONE, DONE),
    ],
)
def test_token_ids_are_taken_out_and_text_is_not(events: bytes, expected: bytes) -> None:
    assert without_token_ids(events) == expected


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        (b'{"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}', (3, 4)),
        (b'{"usage": {"prompt_tokens": 3, "total_tokens": 3}}', (3, None)),
        (b'data: {"usage":null}\n\n', (None, None)),
        (b'{"text":"\\"usage\\":{\\"prompt_tokens\\":3}"}', (None, None)),
        (b"", (None, None)),
    ],
)
def test_usage_is_read_from_the_end(tail: bytes, expected: tuple[int | None, int | None]) -> None:
    assert usage_of(tail) == expected


@pytest.mark.parametrize(
    ("events", "good", "done", "trouble"),
    [
        (ROLE + DONE, ROLE + DONE, True, None),
        (b": ping\n\n" + ROLE, b": ping\n\n" + ROLE, False, None),
        (ROLE + b'data: {"id": "cm\n\n' + ROLE, ROLE, False, b'{"id": "cm'),
        (ROLE + b'data: {"error":{"code":500}}\n\n', ROLE, False, b'{"error":{"code":500}}'),
        (b'data: {"error":{"code":400}}\n\n',) * 2 + (False, None),
        (b"event: x\r\ndata: {}\r\n\r\n",) * 2 + (False, None),
    ],
)
def test_trouble_in_a_stream_is_found(
    events: bytes, good: bytes, done: bool, trouble: bytes | None
) -> None:
    found = examine(events)

    assert (found.good, found.done, found.trouble) == (good, done, trouble)


@given(st.lists(st.integers(min_value=0, max_value=400), max_size=10))
def test_progress_is_taken_out_wherever_the_bytes_are_cut(cuts: list[int]) -> None:
    stream = PROGRESS * 3 + ROLE + WORD + DONE
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    gate = EventGate(drop_progress=True)

    passed = b"".join(gate.feed(stream[a:b]) for a, b in itertools.pairwise(edges))

    assert passed == ROLE + WORD + DONE


@given(st.lists(st.integers(min_value=0, max_value=200), max_size=10))
def test_only_whole_events_pass(cuts: list[int]) -> None:
    stream = ROLE + DONE
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    gate = EventGate(drop_progress=False)

    parts = [gate.feed(stream[a:b]) for a, b in itertools.pairwise(edges)]

    assert all(part.endswith(b"\n\n") for part in parts if part)
    assert b"".join(parts) == stream


def test_events_that_end_with_crlf_pass() -> None:
    assert EventGate(drop_progress=True).feed(b"data: a\r\n\r\ndata: b") == b"data: a\r\n\r\n"


def test_what_is_left_at_the_end_of_a_stream_is_not_lost() -> None:
    gate = EventGate(drop_progress=False)
    assert gate.feed(b"data: a") == b""

    assert gate.rest() == b"data: a"
    assert gate.rest() == b""


def test_an_endless_event_is_passed_on_in_parts() -> None:
    gate = EventGate(drop_progress=False)
    passed = sum(len(gate.feed(b"x" * 65536)) for _ in range(64))

    assert passed >= 63 * 65536 - 1024 * 1024


def test_headers_of_one_hop_are_not_passed_on() -> None:
    headers = {
        b"connection": b"close, X-Hop",
        b"x-hop": b"1",
        b"host": b"a",
        b"x-y": b"1",
        b"expect": b"1",
    }

    assert request_headers(headers) == [(b"x-y", b"1")]


def test_an_engines_own_identity_headers_are_replaced() -> None:
    headers = [(b"transfer-encoding", b"chunked"), (b"server", b"x"), (b"content-type", b"a/b")]

    assert response_headers(headers) == [(b"content-type", b"a/b")]
