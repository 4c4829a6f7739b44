from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicore.gateway.wire import (
    BadBody,
    EventGate,
    Facts,
    ask_for_progress,
    read_facts,
    request_headers,
    response_headers,
)

PROGRESS = b'data: {"prompt_progress":{"processed":16}}\n\n'
ROLE = b'data: {"choices":[{"delta":{"role":"assistant"}}]}\n\n'
WORD = b'data: {"choices":[{"delta":{"content":"\\"prompt_progress\\""}}]}\n\n'
DONE = b"data: [DONE]\n\n"


def test_facts_are_read_from_a_body_of_any_size() -> None:
    body = json.dumps({"messages": ["x" * 100_000], "model": "m", "stream": True}).encode()

    assert read_facts(body) == Facts(model="m", stream=True)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not valid JSON"),
        (b'{"model": ', "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b'{"model": "\xff"}', "not valid JSON"),
        (b'{"x": ' + b"[" * 2000 + b"]" * 2000 + b"}", "not valid JSON"),
        (b"[]", "not what the API asks for"),
        (b'{"model": 7}', r"not what the API asks for.*model"),
        (b'{"stream": "yes"}', r"not what the API asks for.*stream"),
    ],
)
def test_a_bad_body_is_refused_with_the_reason(body: bytes, message: str) -> None:
    with pytest.raises(BadBody, match=message):
        read_facts(body)


@pytest.mark.parametrize("body", [b"{}", b' { "stream":true}', b'{\n"a": {}}'])
def test_asking_for_progress_adds_one_key_and_changes_nothing_else(body: bytes) -> None:
    asking = ask_for_progress(body)

    assert asking is not None
    assert json.loads(asking) == json.loads(body) | {"return_progress": True}


def test_a_client_that_asks_for_progress_itself_is_left_alone() -> None:
    assert ask_for_progress(b'{"return_progress": true}') is None


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
    headers = [
        (b"connection", b"close, X-Hop"),
        (b"x-hop", b"1"),
        (b"host", b"a"),
        (b"x-y", b"1"),
        (b"expect", b"1"),
    ]

    assert request_headers(headers) == [(b"x-y", b"1")]


def test_an_engines_own_identity_headers_are_replaced() -> None:
    headers = [(b"transfer-encoding", b"chunked"), (b"server", b"x"), (b"content-type", b"a/b")]

    assert response_headers(headers) == [(b"content-type", b"a/b")]
