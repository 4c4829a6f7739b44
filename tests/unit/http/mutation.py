"""Messages that were right before something was done to them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import strategies as st

# What parsers disagree about.
_ODD = [
    *(b"\r\n", b"\r", b"\n", b"\r\n\r\n", b"\n\n", b" ", b"\t", b"\0", b"\x0b", b"\x7f", b"\xff"),
    *(b":", b";", b",", b"=", b'"', b"-", b"+", b"0", b"1", b"9" * 20, b"f" * 16, b"x" * 300),
    *(b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n", b"HTTP/1.1"),
]


@st.composite
def mutated(draw: st.DrawFn, messages: Sequence[bytes]) -> bytes:
    """One to three messages in a row, written over at up to four places, sometimes cut short."""
    data = b"".join(draw(st.lists(st.sampled_from(messages), min_size=1, max_size=3)))
    data = data[: draw(st.sampled_from([None, draw(st.integers(0, len(data)))]))]
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        skip = draw(st.integers(0, 4))
        data = data[:at] + draw(st.sampled_from([b"", *_ODD])) + data[at + skip :]
    return data


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """Return the pieces of ``data`` between the places, which are taken modulo its length."""
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(edges)]
