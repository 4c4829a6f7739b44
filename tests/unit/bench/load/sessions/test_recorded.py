"""Sessions of recorded texts: all of them before any comes again."""

from __future__ import annotations

from replicore.bench.load.bodies import message
from replicore.bench.load.data.conversations import Conversation, Turn
from replicore.bench.load.sessions.recorded import Recorded, TextSizes, row_of
from replicore.bench.load.workload import Api, Lengths, Turns, Workload
from tests.unit.bench.load.sending import envelope, said

SIZES = TextSizes({"one": 10, "two": 20, "1": 3, "2": 4})
TALK = Conversation(
    place="s",
    turns=(Turn(text="one", answer="1"), Turn(text="two", answer="2"), Turn(text="three")),
)


def recorded(*conversations: Conversation, turns: int = 1) -> Recorded:
    workload = Workload(
        api=Api.CHAT,
        turns=Turns(count=Lengths(turns), pause_s=2),
        output_tokens=Lengths(99),
    )
    return Recorded(
        workload=workload,
        conversations=conversations or (TALK,),
        sizes=SIZES,
        overhead=5,
        envelope=envelope(workload),
    )


def test_rows_all_come_once_before_any_comes_again() -> None:
    rows = [row_of(7, session, 10) for session in range(30)]

    assert [sorted(rows[start : start + 10]) for start in (0, 10, 20)] == [list(range(10))] * 3
    assert rows[:10] != rows[10:20]


def test_order_of_rows_follows_the_seed() -> None:
    orders = [[row_of(seed, session, 50) for session in range(50)] for seed in (1, 1, 2)]

    assert orders[0] == orders[1] != orders[2]


def test_session_asks_its_first_question_for_as_much_as_was_answered() -> None:
    (job,) = recorded().jobs(0, first=3)

    assert said(job)["messages"] == [{"role": "user", "content": "one"}]
    # 5 that the server adds, 10 of the text; the recorded answer has 3
    assert (job.index, job.input_tokens, job.output_tokens) == (3, 15, 3)


def test_session_has_as_many_turns_as_asked_and_recorded() -> None:
    assert [len(recorded(turns=turns).jobs(0, 0)) for turns in (1, 2, 9)] == [1, 2, 3]


def test_later_turns_carry_the_answers_that_were_given() -> None:
    first, second, third = recorded(turns=3).jobs(0, 0)
    messages = said(third, ["A", "B"])["messages"]

    assert [said["content"] for said in messages] == ["one", "A", "two", "B", "three"]
    # 15, then 15 + 3 + 20, then 38 + 4 + 1 ("three", by four characters a token)
    assert [job.input_tokens for job in (first, second, third)] == [15, 38, 43]
    assert [job.pause_s for job in (first, second, third)] == [0, 2, 2]


def test_output_tokens_are_the_file_s_then_the_answer_s_then_drawn() -> None:
    told = Conversation(place="s", turns=(Turn(text="one", answer="1", output_tokens=8),))
    unknown = Conversation(place="s", turns=(Turn(text="one"),))

    tokens = [recorded(one).jobs(0, 0)[0].output_tokens for one in (told, TALK, unknown)]
    assert tokens == [8, 3, 99]


def test_opening_messages_come_first() -> None:
    system = message("system", b'"brief"')
    conversation = Conversation(place="s", turns=(Turn(text="one"),), opening=(system,))
    (job,) = recorded(conversation).jobs(0, 0)

    assert [part["role"] for part in said(job)["messages"]] == ["system", "user"]
    assert job.input_tokens > 15


def test_counted_texts_have_their_tokens_and_others_the_rate_of_those() -> None:
    sizes = TextSizes.of({"twelve chars": 6, "four": 2})

    assert sizes.tokens("four") == 2
    # 16 characters were 8 tokens
    assert sizes.tokens("x" * 30) == 15


def test_text_has_at_least_one_token() -> None:
    assert TextSizes.of({}).tokens("a") == 1


def test_without_counts_a_token_has_four_characters() -> None:
    assert TextSizes.of({}).tokens("x" * 40) == 10
