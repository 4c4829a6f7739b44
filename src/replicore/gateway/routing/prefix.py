"""What a replica's prefix cache is believed to hold: a bounded LRU of block hashes.

A prompt's bytes are cut into blocks whose bounds depend on the position alone, and a block's hash
covers all bytes up to its end. So two prompts share exactly the hashes of their common beginning.
Blocks grow along the prompt: its beginning, where most prompts part, is told apart finely, and a
long prompt still has few blocks; a block is never more than a sixteenth of what is before it,
beyond the first ones.

Tokens are estimated from bytes: only their ratio to other estimates matters for routing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from itertools import accumulate, chain, repeat

from xxhash import xxh3_64_intdigest

# Of common tokenizers on English text; code and other languages have fewer.
BYTES_PER_TOKEN = 4

_FIRST_BLOCK = 128
_BLOCKS_OF_A_SIZE = 16
_SIZES = 20

_SIZE_OF = tuple(
    chain.from_iterable(repeat(_FIRST_BLOCK << step, _BLOCKS_OF_A_SIZE) for step in range(_SIZES))
)
_END_OF = tuple(accumulate(_SIZE_OF))
_TOKENS_OF = tuple(size // BYTES_PER_TOKEN for size in _SIZE_OF)
_TOKENS_BEFORE = tuple(accumulate(_TOKENS_OF, initial=0))


def estimate_tokens(size_bytes: int) -> int:
    """Return about how many tokens a text of so many bytes has, at least 1."""
    return size_bytes // BYTES_PER_TOKEN or 1


def block_hashes(prompt: bytes | bytearray | memoryview) -> list[int]:
    """Return the hash of every whole block of ``prompt``, each covering all bytes before its end.

    The rest after the last whole block has none.
    """
    digest = xxh3_64_intdigest
    hashes = []
    start = seed = 0
    for end in _END_OF[: bisect_right(_END_OF, len(prompt))]:
        seed = digest(prompt[start:end], seed)
        hashes.append(seed)
        start = end
    return hashes


class PrefixIndex:
    """The beginnings of prompts used last, as many as ``capacity_tokens`` hold.

    A block is always used after all that it is a beginning of, so of a prompt the last block is
    forgotten first, and what is known of any prompt is one run of blocks from its start.
    """

    __slots__ = ("_blocks", "_capacity", "tokens")

    def __init__(self, capacity_tokens: int) -> None:
        self._capacity = capacity_tokens
        self._blocks: OrderedDict[int, int] = OrderedDict()
        self.tokens = 0

    def match(self, hashes: Sequence[int]) -> int:
        """Return how many tokens from the start of a prompt with these hashes are known."""
        return _TOKENS_BEFORE[self._known(hashes)]

    def add(self, hashes: Sequence[int]) -> None:
        """Remember a prompt as used just now."""
        blocks, known = self._blocks, self._known(hashes)
        for depth in range(len(hashes) - 1, known - 1, -1):
            blocks[hashes[depth]] = _TOKENS_OF[depth]
        move = blocks.move_to_end
        for depth in range(known - 1, -1, -1):
            move(hashes[depth])
        self.tokens += _TOKENS_BEFORE[len(hashes)] - _TOKENS_BEFORE[known]
        while self.tokens > self._capacity:
            self.tokens -= blocks.popitem(last=False)[1]

    def clear(self) -> None:
        self._blocks.clear()
        self.tokens = 0

    def _known(self, hashes: Sequence[int]) -> int:
        blocks = self._blocks
        low, high = 0, len(hashes)
        while low < high:
            middle = (low + high) // 2
            if hashes[middle] in blocks:
                low = middle + 1
            else:
                high = middle
        return low
