"""A pool of tokens: any number of them, and never the same beginning twice."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from replicore.bench.load.prompts.pool import Pool


def pool_of(size: int) -> Pool:
    return Pool([b"%d" % number for number in range(size)], b",")


@given(
    size=st.integers(1, 300),
    start=st.integers(0, 299),
    count=st.integers(1, 1000),
)
def test_run_follows_the_pool_and_begins_again_at_its_end(
    size: int, start: int, count: int
) -> None:
    start %= size
    expected = [(start + step) % size for step in range(count)]

    assert list(map(int, pool_of(size).run(start, count).split(b","))) == expected


@given(size=st.integers(1, 300), count=st.integers(1, 1000), key=st.integers(0, 2**64))
def test_draw_has_exactly_the_asked_pieces(size: int, count: int, key: int) -> None:
    pieces = list(map(int, pool_of(size).draw(count, key).split(b",")))

    assert len(pieces) == count
    assert all(0 <= piece < size for piece in pieces)


def test_draw_of_nothing_is_empty() -> None:
    assert pool_of(5).draw(0, 1) == b""


def test_draws_share_no_prefix_that_a_cache_could_use() -> None:
    # A pool far smaller than the number of prompts: their runs must start at the same places.
    pool = pool_of(40)
    draws = [pool.draw(64, index).split(b",") for index in range(200)]

    # 40^8 possible beginnings; the smallest cache blocks of the engines hold 16 tokens.
    assert all(a[:8] != b[:8] for a, b in combinations(draws, 2))


def test_shorter_draw_of_a_key_is_the_beginning_of_the_longer_one() -> None:
    pool = pool_of(100)
    long = pool.draw(50, 7, 8)

    # Blocks of a trace that are cut off share what is left of them.
    assert all(long.startswith(pool.draw(count, 7, 8)) for count in range(1, 50))


def test_draw_does_not_repeat_a_stretch_where_the_pool_is_as_long() -> None:
    pieces = pool_of(500).draw(500, 3).split(b",")

    assert len(set(pieces[8:])) == 492
