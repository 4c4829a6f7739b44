"""Made-up sessions: lengths as drawn, prompts that share nothing unless asked."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest

from replicore.bench.load.jobs import Job
from replicore.bench.load.sessions.synthetic import Synthetic
from replicore.bench.load.workload import Api, Lengths, Prefixes, Turns, Workload
from tests.unit.bench.load.sending import envelope, id_prompts, said, word_prompts

VARIED = Workload(input_tokens=Lengths(64, 20), output_tokens=Lengths(50, 10), seed=3)


def synthetic(workload: Workload, *, warmup: bool = False) -> Synthetic:
    """Return ids where the workload sends single requests to completions, else words."""
    ids = workload.api is Api.COMPLETIONS and workload.turns.single
    prompts = id_prompts() if ids else word_prompts(workload.api, overhead=11)
    return Synthetic(workload=workload, prompts=prompts, envelope=envelope(workload), warmup=warmup)


def only(source: Synthetic, session: int) -> Job:
    (job,) = source.jobs(session, session)
    return job


def test_request_has_the_drawn_lengths() -> None:
    for index in range(30):
        job, draft = only(synthetic(VARIED), index), VARIED.request(index)

        assert (job.index, job.input_tokens, job.output_tokens) == (
            index,
            draft.input_tokens,
            draft.output_tokens,
        )
        assert len(said(job)["prompt"]) == draft.input_tokens
        assert said(job)["max_tokens"] == draft.output_tokens


def test_request_of_one_seed_is_the_same_body() -> None:
    assert [only(synthetic(VARIED), i) for i in range(9)] == [
        only(synthetic(VARIED), i) for i in range(9)
    ]


def test_prompts_share_no_prefix_and_warmup_repeats_none() -> None:
    measured, warm = synthetic(VARIED), synthetic(VARIED, warmup=True)
    prompts = [said(only(source, i))["prompt"] for source in (measured, warm) for i in range(60)]

    assert all(a[:8] != b[:8] for a, b in combinations(prompts, 2))


def test_text_has_the_words_that_the_template_leaves() -> None:
    workload = Workload(input_tokens=Lengths(40), api=Api.CHAT)
    content = said(only(synthetic(workload), 0))["messages"][0]["content"]

    # 40 tokens: 11 that the server adds, the word that begins every text among them, and 29
    assert len(content.split()) == 1 + 29


def test_prompt_shorter_than_the_template_is_asked_for_as_long_as_it_gets() -> None:
    workload = Workload(input_tokens=Lengths(5), api=Api.CHAT)

    assert only(synthetic(workload), 0).input_tokens == 12


def test_extra_output_limit_is_what_is_asked() -> None:
    assert only(synthetic(Workload(extra={"max_tokens": 9})), 0).output_tokens == 9


def test_sessions_draw_one_of_the_shared_prefixes() -> None:
    workload = Workload(input_tokens=Lengths(32), prefixes=Prefixes(count=3, tokens=16), seed=1)
    jobs = [only(synthetic(workload), i) for i in range(90)]
    prompts = [said(job)["prompt"] for job in jobs]

    assert {len(prompt) for prompt in prompts} == {jobs[0].input_tokens} == {48}
    counts = Counter(tuple(prompt[:16]) for prompt in prompts)
    assert len(counts) == 3
    assert min(counts.values()) > 15
    assert len({tuple(prompt[16:]) for prompt in prompts}) == 90


def test_warmup_has_the_shared_prefixes_of_the_measured_sessions() -> None:
    workload = Workload(prefixes=Prefixes(count=2, tokens=16))
    beginnings = [
        {tuple(said(only(synthetic(workload, warmup=warm), i))["prompt"][:16]) for i in range(40)}
        for warm in (False, True)
    ]

    assert beginnings[0] == beginnings[1]


def test_shared_prefix_of_a_chat_is_a_system_message() -> None:
    workload = Workload(
        input_tokens=Lengths(32), api=Api.CHAT, prefixes=Prefixes(count=1, tokens=16)
    )
    first, second = (said(only(synthetic(workload), i))["messages"] for i in range(2))

    assert first[0] == second[0]
    assert first[0]["role"] == "system"
    assert len(first[0]["content"].split()) == 1 + 16
    assert first[1] != second[1]


CONVERSATION = Workload(
    input_tokens=Lengths(20),
    output_tokens=Lengths(7),
    api=Api.CHAT,
    turns=Turns(count=Lengths(3), pause_s=1.5),
)


def test_conversation_has_consecutive_indices_and_pauses_between_turns() -> None:
    jobs = synthetic(CONVERSATION).jobs(4, first=12)

    assert [job.index for job in jobs] == [12, 13, 14]
    assert [job.pause_s for job in jobs] == [0, 1.5, 1.5]


def test_conversation_s_input_grows_by_what_was_asked_and_answered() -> None:
    jobs = synthetic(CONVERSATION).jobs(0, first=0)

    # 20, then 20 + 7 + 20, then 47 + 7 + 20
    assert [job.input_tokens for job in jobs] == [20, 47, 74]


def test_conversation_carries_its_turns_and_their_answers() -> None:
    first, second, third = synthetic(CONVERSATION).jobs(0, first=0)
    opening = said(first)["messages"]
    later = said(third, ["A1", "A2"])["messages"]

    assert [message["role"] for message in later] == ["user", "assistant"] * 2 + ["user"]
    assert later[:1] == opening
    assert said(second, ["A1"])["messages"] == later[:3]
    assert [message["content"] for message in later[1::2]] == ["A1", "A2"]


def test_conversation_s_template_is_counted_in_its_first_turn_only() -> None:
    jobs = synthetic(CONVERSATION).jobs(0, first=0)
    contents = [message["content"] for message in said(jobs[2], ["", ""])["messages"][::2]]

    assert [len(content.split()) for content in contents] == [1 + 9, 1 + 20, 1 + 20]


def test_conversation_without_messages_is_one_text() -> None:
    workload = Workload(
        input_tokens=Lengths(20),
        turns=Turns(count=Lengths(2)),
        prefixes=Prefixes(count=1, tokens=5),
    )
    first, second = synthetic(workload).jobs(0, first=0)
    text = said(first)["prompt"]

    assert said(second, ["A1"])["prompt"].startswith(f"{text} A1 the ")
    assert first.input_tokens == 25


def test_warmup_sessions_have_one_turn() -> None:
    assert len(synthetic(CONVERSATION, warmup=True).jobs(0, first=0)) == 1


@pytest.mark.parametrize("count", [Lengths.uniform(1, 4), Lengths(2, 1)])
def test_sessions_have_as_many_turns_as_the_workload_says(count: Lengths) -> None:
    workload = Workload(api=Api.CHAT, turns=Turns(count=count), seed=5)
    lengths = [len(synthetic(workload).jobs(session, 0)) for session in range(40)]

    assert lengths == [workload.turns_of(session) for session in range(40)]
    assert len(set(lengths)) > 1
