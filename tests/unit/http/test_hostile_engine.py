"""What an engine may not do with a response: the sink gets an error, the connection is dropped."""

from __future__ import annotations

import pytest

from tests.unit.http.fakes import Engine, Sink

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"
WHOLE = OK + b"content-length: 2\r\n\r\nok"


def length(value: bytes) -> bytes:
    return OK + b"content-length: " + value + b"\r\n\r\nok"


def coding(value: bytes) -> bytes:
    return OK + b"transfer-encoding: " + value + b"\r\n\r\n2\r\nok\r\n0\r\n\r\n"


def header(value: bytes) -> bytes:
    return OK + value + b"\r\ncontent-length: 2\r\n\r\nok"


BAD = {
    "not HTTP": b"hello\r\n\r\n",
    "a TLS alert": b"\x15\x03\x01\x00\x02\x02\x46",
    "another protocol": b"ICY 200 OK\r\n\r\n",
    "status with a letter": b"HTTP/1.1 2x0 OK\r\n\r\n",
    "status of two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "status 000": b"HTTP/1.1 000 OK\r\ncontent-length: 0\r\n\r\n",
    "status 099": b"HTTP/1.1 099 OK\r\ncontent-length: 0\r\n\r\n",
    "status 600": b"HTTP/1.1 600 OK\r\ncontent-length: 0\r\n\r\n",
    "status 101": b"HTTP/1.1 101 Now\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nabc",
    "status 101 alone": b"HTTP/1.1 101 Now\r\n\r\nabc",
    "status 100 with a body": b"HTTP/1.1 100 Go on\r\ncontent-length: 2\r\n\r\nok" + WHOLE,
    "length twice": OK + b"content-length: 2\r\ncontent-length: 2\r\n\r\nok",
    "two lengths": OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\nok",
    "length in a list": length(b"2, 2"),
    "length with a plus": length(b"+2"),
    "length with a minus": length(b"-2"),
    "length in hexadecimal": length(b"0x2"),
    "length that is empty": length(b""),
    "length of 30 digits": length(b"9" * 30),
    "length, then coding": OK + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding, then length": OK + b"transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n0\r\n\r\n",
    "coding twice": OK + b"transfer-encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n",
    "coding gzip": coding(b"gzip"),
    "coding identity": coding(b"identity"),
    "coding gzip, chunked": coding(b"gzip, chunked"),
    "coding chunked, gzip": coding(b"chunked, gzip"),
    "line ends of LF": b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok",
    "bare LF in a header": header(b"x: a\ny: b"),
    "bare CR in a header": header(b"x: a\rb"),
    "NUL in a header": header(b"x: a\0b"),
    "folded header": header(b"x: a\r\n b"),
    "space before a colon": header(b"x : a"),
    "101 headers": header(b"\r\n".join([b"x: y"] * 100)),
    "chunk size that is no number": CHUNKED + b"zz\r\nok\r\n0\r\n\r\n",
    "chunk size with a minus": CHUNKED + b"-2\r\nok\r\n0\r\n\r\n",
    "chunk size before a space": CHUNKED + b"2 \r\nok\r\n0\r\n\r\n",
    "chunk size of 17 digits": CHUNKED + b"f" * 17 + b"\r\nok",
    "chunk size ended by LF": CHUNKED + b"2\nok\r\n0\r\n\r\n",
    "chunk longer than its size": CHUNKED + b"2\r\nokx\r\n0\r\n\r\n",
    "trailer with a length": CHUNKED + b"2\r\nok\r\n0\r\ncontent-length: 9\r\n\r\n",
    "trailer without a colon": CHUNKED + b"2\r\nok\r\n0\r\nx\r\n\r\n",
}

WHOLE_BUT_ODD = {
    "bytes after the end": WHOLE + b"XXXX",
    "bytes after the last chunk": CHUNKED + b"2\r\nok\r\n0\r\n\r\nXX",
    "a second response": WHOLE + WHOLE,
    "bytes after the end of a closing connection": OK
    + b"connection: close\r\n"
    + WHOLE[17:]
    + b"X",
    "HTTP/1.0 with a length": b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
    "connection: close": OK + b"connection: close\r\n" + WHOLE[17:],
}

FLOODS = {
    "1xx responses": (b"", b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\n"),
    "a status line": (b"HTTP/1.1 200 ", b"O" * 100),
    "a header": (OK + b"x: ", b"y" * 100),
    "a name": (OK, b"x" * 100),
    "headers": (OK, b"x: y\r\n"),
    "empty lines": (b"", b"\r\n" * 50),
    "a chunk extension": (CHUNKED + b"2;", b"x" * 100),
    "zeros of a chunk size": (CHUNKED, b"0" * 100),
    "a trailer": (CHUNKED + b"0\r\nx: ", b"y" * 100),
    "trailers": (CHUNKED + b"0\r\n", b"x: y\r\n"),
}


def bytes_of(data: bytes) -> list[bytes]:
    return [data[start : start + 1] for start in range(len(data))]


@pytest.mark.parametrize("answer", BAD.values(), ids=BAD)
@pytest.mark.parametrize("whole", [True, False], ids=["at once", "byte by byte"])
def test_a_bad_response_is_an_error_and_its_connection_is_cut(answer: bytes, whole: bool) -> None:
    engine = Engine()

    engine.answer(*([answer] if whole else bytes_of(answer)))

    assert engine.sink.error is not None
    assert engine.transport.ended
    assert not engine.is_kept


@pytest.mark.parametrize("answer", WHOLE_BUT_ODD.values(), ids=WHOLE_BUT_ODD)
@pytest.mark.parametrize("whole", [True, False], ids=["at once", "byte by byte"])
def test_an_odd_response_is_whole_but_its_connection_is_cut(answer: bytes, whole: bool) -> None:
    engine = Engine()

    engine.answer(*([answer] if whole else bytes_of(answer)))

    assert (engine.sink.body, engine.sink.ended) == (b"ok", True)
    assert engine.transport.ended
    assert not engine.is_kept


@pytest.mark.parametrize(("start", "more"), FLOODS.values(), ids=FLOODS)
def test_an_endless_head_chunk_line_or_trailer_is_cut_off(start: bytes, more: bytes) -> None:
    engine = Engine()
    engine.answer(start)

    most_held = 0
    for _ in range(70_000 // len(more)):
        engine.answer(more)
        most_held = max(most_held, engine.held_bytes)

    assert engine.sink.error is not None
    assert engine.transport.ended
    assert most_held <= 128 * 1024


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_has_none(status: int) -> None:
    engine = Engine()

    engine.answer(b"HTTP/1.1 %d x\r\ncontent-length: 2\r\n\r\nok" % status)

    assert (engine.sink.status, engine.sink.body, engine.sink.ended) == (status, b"", True)
    assert not engine.is_kept


@pytest.mark.parametrize("body", [b"", b"ok", b"HTTP/1.1 200 OK\r\n"])
def test_a_response_to_head_ends_with_its_head(body: bytes) -> None:
    engine = Engine("HEAD")

    engine.answer(OK + b"content-length: 2\r\n\r\n" + body)

    assert (engine.sink.status, engine.sink.body, engine.sink.ended) == (200, b"", True)
    assert not engine.is_kept


def test_a_response_without_a_length_ends_with_the_connection() -> None:
    engine = Engine()

    engine.answer(b"HTTP/1.0 200 OK\r\n\r\n", b"ok")
    assert not engine.sink.is_over
    engine.close()

    assert (engine.sink.body, engine.sink.ended) == (b"ok", True)


def test_a_response_before_the_request_was_sent_costs_the_connection() -> None:
    engine = Engine()
    engine.transport.unsent = 1

    engine.answer(WHOLE)

    assert engine.sink.ended
    assert not engine.is_kept


def test_a_connection_is_kept_after_a_response_that_is_right() -> None:
    engine = Engine()

    engine.answer(b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\n" + WHOLE)

    assert engine.sink.ended
    assert engine.is_kept


def test_bytes_that_nobody_asked_for_cut_the_connection() -> None:
    engine = Engine()
    engine.answer(WHOLE)

    engine.answer(WHOLE)

    assert engine.transport.ended
    assert not engine.is_kept


def test_what_came_before_the_error_is_passed_on() -> None:
    engine = Engine()

    engine.answer(CHUNKED + b"2\r\nok\r\nzz\r\n")

    assert engine.sink.body == b"ok"
    assert engine.sink.error is not None


def test_an_exchange_that_is_cancelled_in_its_own_callback_does_not_keep_the_connection() -> None:
    engine = Engine()
    engine.sink.on_head = lambda *_: engine.exchange.cancel()  # type: ignore[method-assign]

    engine.answer(WHOLE)

    assert not engine.sink.is_over
    assert not engine.is_kept


def test_a_paused_exchange_does_not_leave_its_connection_paused() -> None:
    engine = Engine()
    engine.exchange.pause()
    assert not engine.transport.reading

    engine.answer(WHOLE)
    engine.ask(Sink())

    assert engine.transport.reading
