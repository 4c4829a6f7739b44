from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicore.gateway.routing.prefix import PrefixIndex, block_hashes, estimate_tokens

KIB = 1024
TEXT = bytes(range(256)) * 4 * KIB  # 1 MiB

chains = st.lists(st.integers(0, 2), max_size=6)


def prompt(*blocks: int) -> list[int]:
    """Return the hashes of a prompt whose blocks are given by a letter each."""
    return [hash(blocks[: depth + 1]) for depth in range(len(blocks))]


def test_prompts_share_the_hashes_of_their_common_beginning() -> None:
    one = block_hashes(b"a" * 512 + b"b" * 512)
    other = block_hashes(b"a" * 512 + b"c" * 512)

    assert one[:4] == other[:4]
    assert set(one[4:]).isdisjoint(other[4:])


def test_hash_covers_all_before_its_block() -> None:
    assert block_hashes(b"a" * 128 + b"z" * 128)[1] != block_hashes(b"b" * 128 + b"z" * 128)[1]


def test_longer_prompt_extends_the_hashes() -> None:
    assert block_hashes(TEXT[:5000]) == block_hashes(TEXT[:9000])[: len(block_hashes(TEXT[:5000]))]


def test_bytes_and_views_of_them_have_the_same_hashes() -> None:
    assert block_hashes(memoryview(TEXT)[:4000]) == block_hashes(bytearray(TEXT[:4000]))


@pytest.mark.parametrize(
    ("size", "blocks"),
    # 16 blocks each of 128, 256, 512, 1024, 2048 and 4096 bytes end at 126 KiB; then 9 of 8 KiB.
    [(0, 0), (127, 0), (128, 1), (KIB, 8), (2 * KIB, 16), (6 * KIB, 32), (200 * KIB, 105)],
)
def test_blocks_grow_along_the_prompt(size: int, blocks: int) -> None:
    assert len(block_hashes(TEXT[:size])) == blocks


def test_four_bytes_are_taken_for_a_token() -> None:
    assert [estimate_tokens(size) for size in (0, 3, 4, 4000)] == [1, 1, 1, 1000]


def test_index_knows_what_was_added_up_to_where_prompts_part() -> None:
    index = PrefixIndex(10_000)
    index.add(block_hashes(TEXT[:2048]))

    assert index.match(block_hashes(TEXT[:2048])) == 512
    assert index.match(block_hashes(TEXT[:1024] + b"x" * 1024)) == 256
    assert index.match(block_hashes(b"x" * 1024)) == 0


def test_index_forgets_the_end_of_the_oldest_prompt_first() -> None:
    index = PrefixIndex(4 * 32)
    index.add(prompt(0, 0, 0))
    index.add(prompt(1, 1))

    assert index.match(prompt(0, 0, 0)) == 2 * 32
    assert index.match(prompt(1, 1)) == 2 * 32


def test_prompt_used_again_is_kept() -> None:
    index = PrefixIndex(2 * 32)
    for letter in (0, 1, 0, 2):
        index.add(prompt(letter))

    assert [index.match(prompt(letter)) for letter in range(3)] == [32, 0, 32]


def test_prompt_beyond_the_capacity_is_known_at_its_beginning() -> None:
    index = PrefixIndex(2 * 32)
    index.add(prompt(0, 1, 2, 3))

    assert index.match(prompt(0, 1, 2, 3)) == 2 * 32


def test_cleared_index_knows_nothing() -> None:
    index = PrefixIndex(1000)
    index.add(prompt(0, 1))
    index.clear()

    assert (index.match(prompt(0, 1)), index.tokens) == (0, 0)


@given(st.lists(chains, max_size=30), st.integers(0, 8))
def test_what_is_known_of_any_prompt_is_one_run_from_its_start(
    added: list[list[int]], capacity: int
) -> None:
    index = PrefixIndex(capacity * 32)
    for blocks in added:
        index.add(prompt(*blocks))

        assert index.tokens <= capacity * 32
        for other in added:
            hashes = prompt(*other)
            known = [index.match([one]) > 0 for one in hashes]
            assert index.match(hashes) == 32 * sum(known)
            assert known == sorted(known, reverse=True)


@given(st.lists(chains, max_size=30))
def test_index_with_room_for_all_knows_the_longest_common_beginning(
    added: list[list[int]],
) -> None:
    index = PrefixIndex(10**6)
    for blocks in added:
        longest = max(
            (_common(blocks, before) for before in added[: added.index(blocks)]), default=0
        )
        if blocks not in added[: added.index(blocks)]:
            assert index.match(prompt(*blocks)) >= 32 * longest
        index.add(prompt(*blocks))
        assert index.match(prompt(*blocks)) == 32 * len(blocks)


def _common(one: list[int], other: list[int]) -> int:
    return next(
        (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )
