"""Which prompt beginnings need no prefill: an LRU of block hashes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from replicore.engines.sim.model import BLOCK_TOKENS
from replicore.engines.sim.sequence import Sequence


class PrefixCache:
    """Remembers the ``capacity`` blocks used last.

    A block's hash covers all tokens up to its end, so a prompt's cached part is its longest run of
    known blocks from the start.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._blocks: OrderedDict[int, None] = OrderedDict()

    def match(self, blocks: Iterable[int]) -> int:
        """Return how many of ``blocks``, from the first on, are known."""
        known = 0
        for block in blocks:
            if block not in self._blocks:
                break
            self._blocks.move_to_end(block)
            known += 1
        return known

    def insert(self, blocks: Iterable[int]) -> None:
        for block in blocks:
            self._blocks[block] = None
            self._blocks.move_to_end(block)
        while len(self._blocks) > self._capacity:
            self._blocks.popitem(last=False)


def cached_tokens(cache: PrefixCache | None, sequence: Sequence) -> int:
    """Return how many of a sequence's tokens need no prefill."""
    if cache is None:
        return 0
    # As in vLLM, the last token is always computed: its output is the next token.
    usable = (sequence.tokens - 1) // BLOCK_TOKENS
    return cache.match(sequence.blocks[:usable]) * BLOCK_TOKENS
