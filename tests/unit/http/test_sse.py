from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from replicore.http.sse import SseParser

STREAM = (
    b'data: {"a": 1}\n\n: comment\ndata: {"b": 2}\r\n\r\n'
    b"event: x\ndata: c\ndata: d\n\ndata: [DONE]\n\n"
)
PAYLOADS = [b'{"a": 1}', b'{"b": 2}', b"c\nd", b"[DONE]"]


@given(st.lists(st.integers(min_value=0, max_value=len(STREAM)), max_size=8))
def test_events_are_the_same_wherever_the_bytes_are_cut(cuts: list[int]) -> None:
    parser = SseParser()
    edges = [0, *sorted(cuts), len(STREAM)]

    payloads = [p for a, b in itertools.pairwise(edges) for p in parser.feed(STREAM[a:b])]

    assert payloads == PAYLOADS


def test_an_event_without_its_empty_line_is_not_given_out() -> None:
    parser = SseParser()

    assert parser.feed(b"data: half\n") == []
    assert parser.feed(b"\n") == [b"half"]


def test_an_event_without_data_is_skipped() -> None:
    assert SseParser().feed(b"event: ping\n\n:\n\ndata: x\n\n") == [b"x"]


def test_one_space_after_the_colon_is_taken_off() -> None:
    assert SseParser().feed(b"data:x\n\ndata:  y\n\n") == [b"x", b" y"]
