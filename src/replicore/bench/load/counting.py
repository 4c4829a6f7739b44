"""Have recorded texts counted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from replicore.bench.load.text_sizes import TextSizes
from replicore.bench.load.tokenizers import Tokenizer

# Texts that are counted, and how many of them at a time; the sizes of more are estimated.
_MOST = 4096
_AT_A_TIME = 16


async def count_texts(tokenizer: Tokenizer, texts: Iterable[str]) -> TextSizes:
    """Return the tokens of the first 4096 different texts; of none where nobody can tell."""
    chosen = list(dict.fromkeys(texts))[:_MOST] if tokenizer.any_text else []
    counted: dict[str, int] = {}
    for start in range(0, len(chosen), _AT_A_TIME):
        batch = chosen[start : start + _AT_A_TIME]
        for text, ids in zip(batch, await asyncio.gather(*map(tokenizer.ids, batch)), strict=True):
            if ids is None:
                return TextSizes.of(counted)
            counted[text] = max(1, len(ids))
    return TextSizes.of(counted)
