"""Requests of a trace: its lengths, and its shared prefixes."""

from __future__ import annotations

from replicore.bench.load.data.traces import TraceRow
from replicore.bench.load.jobs import Job
from replicore.bench.load.prompts.sizing import Prompts
from replicore.bench.load.sessions.replay import Replay
from replicore.bench.load.workload import Api, Workload
from tests.unit.bench.load.sending import envelope, id_prompts, said, word_prompts


def row(input_tokens: int, *hash_ids: int) -> TraceRow:
    return TraceRow(at_s=0, input_tokens=input_tokens, output_tokens=7, hash_ids=hash_ids)


def jobs(*rows: TraceRow, prompts: Prompts | None = None, seed: int = 0) -> list[Job]:
    prompts = prompts or id_prompts()
    replay = Replay(
        rows=rows,
        block=16,
        seed=seed,
        prompts=prompts,
        envelope=envelope(Workload(api=prompts.api)),
    )
    assert replay.limit == len(rows)
    return [job for index in range(len(rows)) for job in replay.jobs(index, index)]


def prompt_of(job: Job) -> list[int]:
    ids: list[int] = said(job)["prompt"]
    return ids


def test_request_has_the_lengths_of_its_row() -> None:
    first, second = jobs(row(40, 1, 2, 3), row(9))

    assert [len(prompt_of(job)) for job in (first, second)] == [40, 9]
    assert (first.input_tokens, first.output_tokens, second.index) == (40, 7, 1)


def test_equal_hash_ids_are_equal_tokens_as_far_as_they_go() -> None:
    first, second = map(prompt_of, jobs(row(48, 1, 2, 3), row(64, 1, 2, 9, 4)))

    assert first[:32] == second[:32]
    # The first eight of a block are drawn singly, so blocks that differ do so at once.
    assert first[32:40] != second[32:40]


def test_block_that_is_cut_off_is_the_beginning_of_the_whole_one() -> None:
    cut, whole = map(prompt_of, jobs(row(20, 1, 2), row(32, 1, 2)))

    assert cut == whole[:20]


def test_rows_without_hash_ids_share_nothing() -> None:
    first, second = map(prompt_of, jobs(row(32), row(32)))

    assert first[:8] != second[:8]


def test_input_beyond_the_hash_ids_is_the_row_s_own() -> None:
    first, second = map(prompt_of, jobs(row(40, 1), row(40, 1)))

    assert (len(first), len(second)) == (40, 40)
    assert first[:16] == second[:16]
    assert first[16:24] != second[16:24]


def test_another_seed_fills_the_blocks_with_other_tokens() -> None:
    (first,), (second,) = jobs(row(32, 1, 2)), jobs(row(32, 1, 2), seed=1)

    assert prompt_of(first)[:8] != prompt_of(second)[:8]


def test_chat_leaves_room_for_the_template() -> None:
    (job,) = jobs(row(40, 1, 2, 3), prompts=word_prompts(Api.CHAT, overhead=11))
    content = said(job)["messages"][0]["content"]

    assert len(content.split()) == 1 + 29
    assert job.input_tokens == 40
