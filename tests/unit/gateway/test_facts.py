from __future__ import annotations

import json

import pytest

from replicore.gateway.facts import BadBody, read_facts


def test_facts_are_read_from_a_body_of_any_size() -> None:
    body = json.dumps({"messages": ["x" * 100_000], "model": "m", "stream": True}).encode()

    facts = read_facts(body)

    assert (facts.model, facts.stream) == ("m", True)
    assert len(memoryview(facts.prompt_text)) == 100_004


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not valid JSON"),
        (b'{"model": ', "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b'{"model": "\xff"}', "not valid JSON"),
        (b'{"x": ' + b"[" * 2000 + b"]" * 2000 + b"}", "not valid JSON"),
        (b"[]", "not what the API asks for"),
        (b'{"model": 7}', r"not what the API asks for.*model"),
        (b'{"stream": "yes"}', r"not what the API asks for.*stream"),
        (b'{"user": [[], [], []]}', r"not what the API asks for.*user"),
        (b'{"max_tokens": {"a": 1}}', r"not what the API asks for.*max_tokens"),
    ],
)
def test_a_bad_body_is_refused_with_the_reason(body: bytes, message: str) -> None:
    with pytest.raises(BadBody, match=message):
        read_facts(body)


@pytest.mark.parametrize(
    ("value", "limit"), [("64", 64), ("0", None), ("-1", None), ('"64"', None), ("9" * 400, None)]
)
def test_a_limit_that_cannot_be_reckoned_with_is_none(value: str, limit: int | None) -> None:
    assert read_facts(f'{{"max_tokens": {value}}}'.encode()).output_limit == limit
