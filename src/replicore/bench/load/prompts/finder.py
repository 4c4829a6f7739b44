"""Find prompts of exact length for a server: what its tokens are, and what it adds to a prompt.

Three kinds of prompts are tried, and each is proved on the server with two short requests:

1. token ids, where the route takes them: as long as they are many;
2. words that are one token each inside a text, so that a text is as long as its words are many;
3. any words, by the measured number of tokens a word. Only these are of about the asked length.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from replicore.bench.load.bodies import Envelope, counted, text_prompt
from replicore.bench.load.prompts.one_token import one_token_words
from replicore.bench.load.prompts.sizing import Prompts, id_pool, word_pool
from replicore.bench.load.prompts.tokenizers import Tokenizer
from replicore.bench.load.prompts.words import WORDS, random_words
from replicore.bench.load.workload import Workload
from replicore.errors import UpstreamError

_SHORTEST_POOL = 1024
# Pieces of the two requests that prove a kind of prompts.
_FEW, _MANY = 8, 64
# With fewer different words prompts would begin alike.
_ENOUGH_WORDS = 16


class Counter(Protocol):
    """The server under test; ``server.Server`` is one."""

    @property
    def endpoint(self) -> str: ...

    @property
    def model(self) -> str: ...

    async def prompt_tokens(self, envelope: Envelope, prompt: bytes) -> int: ...


class PromptFinder:
    """Makes prompts of a workload for one server.

    Args:
        ids: Whether prompts may be token ids.
        longest: Tokens that hardly any prompt exceeds; the pool has as many pieces, so that no
            prompt repeats itself.
    """

    def __init__(
        self, server: Counter, tokenizer: Tokenizer, workload: Workload, *, ids: bool, longest: int
    ) -> None:
        self._server = server
        self._tokenizer = tokenizer
        self._workload = workload
        self._ids = ids
        self._size = max(_SHORTEST_POOL, longest)
        self._counted = counted(server.model, workload.api)

    async def find(self) -> Prompts:
        """Return prompts of exact length where there is a way to them, else of about that length.

        Raises:
            UpstreamError: The server does not answer, or refuses even a short prompt.
        """
        ways = (self._of_ids, self._of_told_words, self._of_words_by_usage)
        for way in ways if self._ids else ways[1:]:
            prompts = await way()
            if prompts is not None:
                return prompts
        return await self._measured(self._of_words(WORDS, "an estimate from the server's usage"))

    async def _of_ids(self) -> Prompts | None:
        tokenizer = self._tokenizer
        words = WORDS if tokenizer.any_text else await one_token_words(self._told)
        ids = await tokenizer.ids(" ".join(self._drawn(words))) if words else None
        if not ids:
            return None
        return await self._proved(
            Prompts(api=self._workload.api, pool=id_pool(ids), ids=True, counted_by=tokenizer.name)
        )

    async def _of_told_words(self) -> Prompts | None:
        words = await one_token_words(self._told)
        return await self._of_single_words(words, self._tokenizer.name)

    async def _of_words_by_usage(self) -> Prompts | None:
        words = await one_token_words(self._usage)
        return await self._of_single_words(words, "the server's usage")

    async def _of_single_words(self, words: Sequence[str], counted_by: str) -> Prompts | None:
        if len(words) < _ENOUGH_WORDS:
            return None
        return await self._proved(self._of_words(words, counted_by))

    def _of_words(self, words: Sequence[str], counted_by: str) -> Prompts:
        pool = word_pool(self._drawn(words))
        return Prompts(api=self._workload.api, pool=pool, ids=False, counted_by=counted_by)

    def _drawn(self, words: Sequence[str]) -> Sequence[str]:
        return random_words(self._size, self._workload.seed, words)

    async def _proved(self, prompts: Prompts) -> Prompts | None:
        """Return ``prompts`` with what the server adds; None if a piece is not one token to it."""
        try:
            measured = await self._measured(prompts)
        except UpstreamError:
            return None
        return replace(measured, exact=True) if measured.tokens_per_piece == 1 else None

    async def _measured(self, prompts: Prompts) -> Prompts:
        """Return ``prompts`` with the line through the tokens that the server counts for two."""
        few, many = await asyncio.gather(*(self._length(prompts, n) for n in (_FEW, _MANY)))
        if many <= few:
            raise UpstreamError(
                f"{self._server.endpoint} counts {few} input tokens for {_FEW} words and {many} "
                f"for {_MANY}, so prompts of a given length cannot be made"
            )
        slope = (many - few) / (_MANY - _FEW)
        pieces = _FEW + len(self._prefix(prompts)) * _FEW
        return replace(prompts, tokens_per_piece=slope, overhead=few - pieces * slope)

    async def _length(self, prompts: Prompts, pieces: int) -> int:
        """Return what the server counts for a prompt that is shaped like the measured ones."""
        own = prompts.pool.draw(pieces, self._workload.seed, pieces)
        prompt = prompts.prompt(own, *self._prefix(prompts))
        return await self._server.prompt_tokens(self._counted, prompt)

    def _prefix(self, prompts: Prompts) -> tuple[bytes, ...]:
        shared = self._workload.prefixes.count > 0
        return (prompts.pool.draw(_FEW, self._workload.seed),) if shared else ()

    async def _told(self, text: str) -> int | None:
        ids = await self._tokenizer.ids(text)
        return None if ids is None else len(ids)

    async def _usage(self, text: str) -> int | None:
        try:
            prompt = text_prompt(self._workload.api, text)
            return await self._server.prompt_tokens(self._counted, prompt)
        except UpstreamError:
            return None
