"""Which of our words are one token each, by the counts of whoever can count."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from replicore.bench.load.prompts.words import LEAD, WORDS

# Tokens of a text; None where nobody can tell.
Count = Callable[[str], Awaitable[int | None]]

# Words are asked about in groups of the first size, which are split down to the second.
_GROUP, _SMALLEST_GROUP = 16, 4


async def one_token_words(count: Count) -> tuple[str, ...]:
    """Return words that are one token each wherever they stand inside a text.

    A group of words that adds as many tokens to a text as it has words has only such words, because
    a word is at least one token. Asking in groups finds most of them in two rounds of requests.
    """
    alone = await count(LEAD)
    if alone is None:
        return ()
    # Short words first: a group is then of words that are alike, and seldom has to be split.
    words = sorted(set(WORDS), key=lambda word: (len(word), word))
    groups = [words[start : start + _GROUP] for start in range(0, len(words), _GROUP)]
    found = await asyncio.gather(*(_singles(group, alone, count) for group in groups))
    return tuple(word for words in found for word in words)


async def _singles(group: Sequence[str], alone: int, count: Count) -> Sequence[str]:
    total = await count(" ".join((LEAD, *group)))
    added = 0 if total is None else total - alone
    if added == len(group):
        return group
    hopeless = added >= 2 * len(group) or added < len(group)
    if hopeless or len(group) <= _SMALLEST_GROUP:
        return ()
    middle = len(group) // 2
    halves = (group[:middle], group[middle:])
    found = await asyncio.gather(*(_singles(half, alone, count) for half in halves))
    return [word for words in found for word in words]
