"""Recorded texts: whose turn it is, what comes before, and what is no such file."""

from __future__ import annotations

import json
from typing import Any

import pytest

from replicore.bench.load.data.conversations import (
    Conversation,
    Turn,
    parse_prompts,
    parse_sharegpt,
)
from replicore.errors import ConfigError


def sharegpt(*conversations: list[tuple[str, str]]) -> tuple[Conversation, ...]:
    entries = [
        {"id": "x", "conversations": [{"from": by, "value": value} for by, value in said]}
        for said in conversations
    ]
    return parse_sharegpt("s.json", json.dumps(entries).encode())


def prompts(*lines: dict[str, Any]) -> tuple[Conversation, ...]:
    return parse_prompts("p.jsonl", [json.dumps(line) for line in lines])


def test_conversation_s_turns_are_the_user_s_with_the_answers() -> None:
    (found,) = sharegpt([("human", "one"), ("gpt", "1"), ("human", "two"), ("gpt", "2")])

    assert found.turns == (Turn(text="one", answer="1"), Turn(text="two", answer="2"))
    assert found.opening == ()


def test_conversation_may_end_with_a_question() -> None:
    (found,) = sharegpt([("human", "one"), ("gpt", "1"), ("user", "two")])

    assert found.turns[1] == Turn(text="two", answer=None)


def test_system_message_opens_the_conversation() -> None:
    (found,) = sharegpt([("system", 'be "brief"'), ("human", "one"), ("gpt", "1")])

    assert [json.loads(part) for part in found.opening] == [
        {"role": "system", "content": 'be "brief"'}
    ]


def test_conversations_that_do_not_begin_with_a_user_are_left_out() -> None:
    found = sharegpt([("gpt", "1"), ("human", "x")], [], [("human", "one"), ("gpt", "1")])

    assert [one.place for one in found] == ["s.json, entry 2"]


def test_conversation_ends_where_the_turns_get_out_of_step() -> None:
    (found,) = sharegpt([("human", "one"), ("gpt", "1"), ("gpt", "2"), ("human", "x")])

    assert len(found.turns) == 1


@pytest.mark.parametrize("data", [b"[1]", b"[", b'[{"conversations": [{"from": "human"}]}]'])
def test_file_that_is_no_sharegpt_is_refused(data: bytes) -> None:
    with pytest.raises(ConfigError, match=r"s\.json is not a file of conversations"):
        parse_sharegpt("s.json", data)


def test_sharegpt_without_a_user_s_text_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"s\.json has no prompt to send"):
        sharegpt([("gpt", "1")])


@pytest.mark.parametrize("name", ["output_tokens", "max_tokens"])
def test_line_with_a_prompt_is_a_session_of_one_turn(name: str) -> None:
    (found,) = prompts({"prompt": "one", name: 9, "other": True})

    assert found.turns == (Turn(text="one", output_tokens=9),)


def test_line_with_messages_opens_with_all_but_the_last() -> None:
    said = [
        {"role": "system", "content": "brief"},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "1"},
        {"role": "user", "content": "two"},
    ]
    (found,) = prompts({"messages": said})

    assert [json.loads(part) for part in found.opening] == said[:3]
    assert found.turns == (Turn(text="two"),)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({}, "line 2: neither a prompt nor messages"),
        ({"messages": [{"role": "assistant", "content": "1"}]}, "line 2: neither a prompt nor"),
        ({"prompt": 5}, r"line 2: Expected .*prompt"),
        ({"prompt": "x", "output_tokens": 0}, "line 2: 0 output tokens are fewer than 1"),
    ],
)
def test_line_that_is_no_prompt_is_named(line: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"^p\.jsonl, {message}"):
        prompts({"prompt": "good"}, line)


def test_blank_lines_are_no_prompts() -> None:
    assert len(parse_prompts("p", ['{"prompt": "x"}', "", "  "])) == 1
    with pytest.raises(ConfigError, match="no prompt to send"):
        parse_prompts("p", [""])


def test_next_question_is_not_taken_for_the_answer() -> None:
    (found,) = sharegpt([("human", "one"), ("human", "two"), ("gpt", "2")])

    assert found.turns == (Turn(text="one"),)
