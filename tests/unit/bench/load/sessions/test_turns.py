"""Later turns: made of the answers before them."""

from __future__ import annotations

import json
import pickle

import pytest

from replicore.bench.load.bodies import Envelope, message
from replicore.bench.load.sessions.turns import LaterTurn
from replicore.bench.load.workload import Api


def later(api: Api, opening: tuple[bytes, ...] = ()) -> LaterTurn:
    return LaterTurn(Envelope(api, b'{"model":"tiny"'), opening, (b'"one"', b'"two"'), 5)


def test_later_turn_of_a_chat_carries_the_answers_between_the_questions() -> None:
    system = message("system", b'"be brief"')
    fields = json.loads(later(Api.CHAT, (system,))(['an "answer"\n']))

    assert fields["max_tokens"] == 5
    assert [(said["role"], said["content"]) for said in fields["messages"]] == [
        ("system", "be brief"),
        ("user", "one"),
        ("assistant", 'an "answer"\n'),
        ("user", "two"),
    ]


def test_later_turn_of_a_text_goes_on_from_the_answers() -> None:
    fields = json.loads(later(Api.COMPLETIONS, (b'"once"',))(['an "answer"\n']))

    assert fields["prompt"] == 'once one an "answer"\n two'


def test_first_turn_needs_no_answers() -> None:
    first = LaterTurn(Envelope(Api.COMPLETIONS, b'{"model":"tiny"'), (), (b'"one"',), 5)

    assert json.loads(first(()))["prompt"] == "one"


def test_later_turn_can_be_sent_to_another_process() -> None:
    turn = later(Api.CHAT)

    assert pickle.loads(pickle.dumps(turn))(["x"]) == turn(["x"])


def test_later_turn_with_answers_missing_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        later(Api.CHAT)([])
