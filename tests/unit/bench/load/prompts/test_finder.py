"""Prompts that a server counts exactly, found whatever the server can tell."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from replicore.bench.load.bodies import Envelope
from replicore.bench.load.prompts.finder import PromptFinder
from replicore.bench.load.prompts.sizing import Prompts
from replicore.bench.load.workload import Api, Lengths, Prefixes, Workload
from replicore.errors import UpstreamError

TEMPLATE = 11


def pieces(text: str) -> list[str]:
    """Cut as many tokenizers do: a word and its space, in parts of at most five letters."""
    cut = []
    for word in text.split():
        cut += [word[start : start + 5] for start in range(0, len(word), 5)]
    return cut


@dataclass
class FakeServer:
    """Counts prompts by :func:`pieces`, a message each with a template.

    Attributes:
        takes_ids: Whether it counts ids; else it refuses them.
        cut: Its tokenizer.
        asked: Prompts that it counted.
    """

    takes_ids: bool = True
    cut: Callable[[str], list[str]] = pieces
    endpoint: str = "http://test"
    model: str = "tiny"
    asked: list[Any] = field(default_factory=list)

    async def prompt_tokens(self, envelope: Envelope, prompt: bytes) -> int:
        said = json.loads(prompt)
        self.asked.append(said)
        if isinstance(said, str):
            return 1 + len(self.cut(said))
        if all(isinstance(part, int) for part in said):
            if not self.takes_ids:
                raise UpstreamError("ids are refused")
            return len(said)
        return sum(TEMPLATE + len(self.cut(message["content"])) for message in said)


@dataclass
class FakeTokenizer:
    """Tells the ids of a text, or that it cannot."""

    tells: bool = True
    cut: Callable[[str], list[str]] = pieces
    any_text: bool = True
    name: str = "a tokenizer"

    async def ids(self, text: str) -> list[int] | None:
        return list(range(1000, 1000 + len(self.cut(text)))) if self.tells else None


def find(
    server: FakeServer,
    tokenizer: FakeTokenizer | None = None,
    workload: Workload | None = None,
    *,
    ids: bool = False,
) -> Prompts:
    workload = workload or Workload(api=Api.COMPLETIONS if ids else Api.CHAT)
    finder = PromptFinder(server, tokenizer or FakeTokenizer(), workload, ids=ids, longest=100)
    return asyncio.run(finder.find())


def length(server: FakeServer, prompts: Prompts, tokens: int, prefix: int = 0) -> int:
    """Return what the server counts for a prompt made to have so many tokens."""
    own = prompts.pool.draw(prompts.pieces(tokens), 5)
    prompt = prompts.prompt(own, prompts.pool.draw(prefix, 6))
    envelope = Envelope(prompts.api, b"{")
    return asyncio.run(server.prompt_tokens(envelope, prompt))


def test_ids_are_taken_where_the_route_takes_them() -> None:
    server = FakeServer()
    prompts = find(server, ids=True)

    assert (prompts.ids, prompts.exact, prompts.counted_by) == (True, True, "a tokenizer")
    assert [length(server, prompts, tokens) for tokens in (1, 9, 500)] == [1, 9, 500]


def test_words_replace_ids_that_the_server_refuses() -> None:
    server = FakeServer(takes_ids=False)
    prompts = find(server, ids=True)

    assert (prompts.ids, prompts.exact) == (False, True)
    assert [length(server, prompts, tokens) for tokens in (5, 60, 500)] == [5, 60, 500]


def test_chat_prompts_are_exact_with_the_template() -> None:
    server = FakeServer()
    prompts = find(server)

    # The template's tokens, and the word that begins every text
    assert (prompts.exact, prompts.overhead) == (True, TEMPLATE + 1)
    assert [length(server, prompts, tokens) for tokens in (13, 64, 700)] == [13, 64, 700]


def test_chat_prompts_with_a_system_message_are_exact_beyond_its_tokens() -> None:
    server = FakeServer()
    workload = Workload(api=Api.CHAT, prefixes=Prefixes(count=2, tokens=30))
    prompts = find(server, workload=workload)

    assert prompts.exact
    assert length(server, prompts, 100, prefix=30) == 130


def test_words_are_found_by_usage_where_nobody_tokenizes() -> None:
    server = FakeServer()
    prompts = find(server, FakeTokenizer(tells=False))

    assert (prompts.exact, prompts.counted_by) == (True, "the server's usage")
    assert length(server, prompts, 300) == 300


def test_tokenizer_of_another_model_is_seen_through() -> None:
    # It takes every word for one token, and the server does not.
    server = FakeServer()
    prompts = find(server, FakeTokenizer(cut=str.split))

    assert (prompts.exact, prompts.counted_by) == (True, "the server's usage")
    assert length(server, prompts, 300) == 300


def test_prompts_are_of_about_the_length_where_no_word_is_one_token() -> None:
    def by_letter(text: str) -> list[str]:
        return [letter for letter in text if letter != " " for _ in range(2)]

    server = FakeServer(cut=by_letter)
    prompts = find(server, FakeTokenizer(tells=False))

    assert not prompts.exact
    assert prompts.counted_by == "an estimate from the server's usage"
    assert length(server, prompts, 3000) == pytest.approx(3000, rel=0.15)


def test_vocabulary_that_knows_only_words_gives_ids_of_those_it_has() -> None:
    server = FakeServer()
    prompts = find(server, FakeTokenizer(any_text=False), ids=True)

    assert (prompts.ids, prompts.exact) == (True, True)


def test_pool_is_as_long_as_the_longest_prompt() -> None:
    workload = Workload(input_tokens=Lengths(9000))
    finder = PromptFinder(FakeServer(), FakeTokenizer(), workload, ids=True, longest=9000)

    assert len(asyncio.run(finder.find()).pool) >= 9000


def test_server_that_counts_all_prompts_alike_is_refused() -> None:
    server = FakeServer(cut=lambda text: [])

    with pytest.raises(UpstreamError, match="counts 11 input tokens for 8 words and 11 for 64"):
        find(server)


def test_the_two_proofs_share_no_prefix() -> None:
    server = FakeServer()
    find(server, ids=True)

    few, many = server.asked[:2]
    assert (len(few), len(many)) == (8, 64)
    assert few != many[:8]
