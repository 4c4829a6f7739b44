"""From tokens to pieces, and from pieces to the JSON of a prompt."""

from __future__ import annotations

import json
from typing import Any

import pytest

from replicore.bench.load.prompts.sizing import Prompts, id_pool, word_pool
from replicore.bench.load.workload import Api


def prompts(api: Api = Api.COMPLETIONS, *, ids: bool = False, **fields: Any) -> Prompts:
    pool = id_pool(range(100, 120)) if ids else word_pool(["one", "two", "three"])
    return Prompts(api=api, pool=pool, ids=ids, counted_by="a test", **fields)


@pytest.mark.parametrize(
    ("tokens", "pieces"),
    [
        (110, 80),  # (110 - 10 of the template) / 1.25 a word
        (10, 1),
        (0, 1),
    ],
)
def test_pieces_are_what_the_overhead_leaves_and_at_least_one(tokens: int, pieces: int) -> None:
    assert prompts(tokens_per_piece=1.25, overhead=10).pieces(tokens) == pieces


def test_added_pieces_pay_no_overhead() -> None:
    assert prompts(tokens_per_piece=1.25, overhead=10).added_pieces(100) == 80


def test_shortest_prompt_has_the_overhead_and_one_piece() -> None:
    assert prompts(overhead=31).shortest == 32
    assert prompts().shortest == 1


def test_server_adds_the_overhead_but_for_the_word_that_begins_a_text() -> None:
    assert prompts(overhead=31).added_by_server == 30
    assert prompts(ids=True, overhead=1).added_by_server == 1


def test_prompt_of_ids_is_an_array_of_them() -> None:
    assert json.loads(prompts(ids=True).prompt(b"5,6")) == [5, 6]
    assert json.loads(prompts(ids=True).prompt(b"5,6", b"1,2")) == [1, 2, 5, 6]


def test_prompt_of_words_is_a_text_that_begins_like_all_others() -> None:
    assert json.loads(prompts().prompt(b"one two")) == "the one two"
    assert json.loads(prompts().prompt(b"one two", b"three")) == "the three one two"


def test_prompt_of_a_chat_is_a_message_and_its_prefix_a_system_message() -> None:
    user = {"role": "user", "content": "the one"}

    assert json.loads(prompts(Api.CHAT).prompt(b"one")) == [user]
    assert json.loads(prompts(Api.CHAT).prompt(b"one", b"two")) == [
        {"role": "system", "content": "the two"},
        user,
    ]
