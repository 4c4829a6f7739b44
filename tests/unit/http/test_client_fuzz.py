"""An engine may send anything: the sink hears an orderly story, and memory stays bounded."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.http.fakes import Engine
from tests.unit.http.mutation import cut, mutated

RESPONSES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\nok\r\n1;a=b\r\n!\r\n0\r\nx: y\r\n\r\n",
    b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\n",
    b"HTTP/1.1 204 No\r\n\r\n",
    b"HTTP/1.1 101 Now\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
    b"HTTP/1.0 500 Oh\r\n\r\nuntil the end",
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
]

anything = st.one_of(mutated(RESPONSES), st.binary(max_size=200))
places = st.lists(st.integers(0, 10_000), max_size=8)


def answered(*pieces: bytes, method: str = "POST") -> Engine:
    """Return an engine that has sent the pieces, and closed the connection."""
    engine = Engine(method)
    engine.answer(*pieces)
    if not engine.is_kept:
        engine.close()
    return engine


@given(anything, places, st.sampled_from(["POST", "HEAD"]))
@settings(max_examples=400)
def test_what_the_sink_hears_does_not_depend_on_how_the_bytes_arrive(
    data: bytes, places: list[int], method: str
) -> None:
    whole = answered(data, method=method).sink
    parts = answered(*cut(data, places), method=method).sink

    assert (parts.status, parts.body, parts.ended) == (whole.status, whole.body, whole.ended)


@given(anything, places)
@settings(max_examples=400)
def test_every_response_ends_once(data: bytes, places: list[int]) -> None:
    sink = answered(*cut(data, places)).sink

    assert sink.ended is (sink.error is None)


@given(anything, places)
@settings(max_examples=400)
def test_a_connection_that_is_kept_has_nothing_left_of_its_response(
    data: bytes, places: list[int]
) -> None:
    engine = answered(*cut(data, places))

    assert not engine.is_kept or (engine.held_bytes == 0 and not engine.transport.ended)
