from __future__ import annotations

import pytest

from replicore.http.body import ChunkedBody, SizedBody
from replicore.http.request import BadRequest

BODY = b'3\r\nabc\r\nA;a;b=c;d="e f"\r\n0123456789\r\n000\r\nx-a: b\r\ny: \r\n\r\n'


def read(*pieces: bytes, most: int = 100, most_trailers: int = 100) -> tuple[bytes, bytes | None]:
    """Return the body, and what follows it."""
    body = ChunkedBody(most, most_trailers)
    rest = None
    for piece in pieces:
        rest = body.feed(piece)
    return body.join(), rest


def test_chunks_are_put_together() -> None:
    assert read(BODY) == (b"abc0123456789", b"")


@pytest.mark.parametrize("cut", range(1, len(BODY)))
def test_chunks_may_be_cut_anywhere(cut: int) -> None:
    assert read(BODY[:cut], BODY[cut:]) == (b"abc0123456789", b"")


def test_chunks_may_arrive_byte_by_byte() -> None:
    assert read(*(BODY[i : i + 1] for i in range(len(BODY)))) == (b"abc0123456789", b"")


def test_what_follows_the_body_is_left_alone() -> None:
    assert read(BODY + b"\r\nGET")[1] == b"\r\nGET"


def test_a_body_that_goes_on_has_nothing_after_it() -> None:
    assert read(BODY[:-1]) == (b"abc0123456789", None)


def test_a_body_larger_than_allowed_is_refused_before_it_is_read() -> None:
    with pytest.raises(BadRequest, match="exceeds") as caught:
        read(b"3\r\nabc\r\n62\r\n", most=100)

    assert caught.value.status == 413


def test_trailers_that_do_not_end_are_refused() -> None:
    with pytest.raises(BadRequest) as caught:
        read(b"0\r\n", *[b"a: b\r\n"] * 100, most_trailers=50)

    assert caught.value.status == 431


def test_a_trailer_line_that_does_not_end_is_refused() -> None:
    with pytest.raises(BadRequest) as caught:
        read(b"0\r\na: ", *[b"b"] * 100, most_trailers=50)

    assert caught.value.status == 431


def test_a_size_line_that_does_not_end_is_refused() -> None:
    with pytest.raises(BadRequest, match="exceeds 256 bytes"):
        read(b"1;a=", *[b"b"] * 300)


def test_a_body_of_a_known_length_ends_there() -> None:
    body = SizedBody(5)

    assert body.feed(b"abc") is None
    assert body.feed(b"de\r\nGET") == b"\r\nGET"
    assert body.join() == b"abcde"


def test_many_small_pieces_take_about_their_own_memory() -> None:
    body = SizedBody(20_000)
    for _ in range(9_999):
        body.feed(b"ab")

    assert len(body._pieces) <= 1025
    assert body.join() == b"ab" * 9_999
