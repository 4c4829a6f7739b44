from __future__ import annotations

from replicore.engines.sim.prefix_cache import PrefixCache


def test_match_counts_known_blocks_from_the_start() -> None:
    cache = PrefixCache(10)
    cache.insert([1, 2, 4])

    assert cache.match([1, 2, 3, 4]) == 2
    assert cache.match([3, 1]) == 0


def test_block_used_longest_ago_is_forgotten_first() -> None:
    cache = PrefixCache(2)
    cache.insert([1, 2])
    cache.match([1])
    cache.insert([3])

    assert [cache.match([block]) for block in (1, 2, 3)] == [1, 0, 1]
