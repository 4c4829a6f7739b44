"""A workload: request i is a function of the seed and of i, and warm-up is apart."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from replicore.bench.load.workload import (
    Api,
    DataFile,
    DataFormat,
    Lengths,
    Prefixes,
    Turns,
    Workload,
)
from replicore.errors import ConfigError

VARIED = Workload(input_tokens=Lengths(100, 30), output_tokens=Lengths(50, 10), seed=7)


def test_workload_of_one_seed_repeats_itself() -> None:
    again = replace(VARIED)

    assert [again.request(i) for i in range(20)] == [VARIED.request(i) for i in range(20)]


def test_requests_of_two_seeds_differ() -> None:
    other = replace(VARIED, seed=8)

    assert all(other.request(i) != VARIED.request(i) for i in range(20))


def test_input_lengths_do_not_depend_on_output_lengths() -> None:
    other = replace(VARIED, output_tokens=Lengths.uniform(1, 900))

    inputs = [[one.request(i).input_tokens for i in range(50)] for one in (VARIED, other)]
    assert inputs[0] == inputs[1]


def test_warmup_requests_have_keys_of_their_own() -> None:
    warm = {VARIED.request(i, warmup=True).key for i in range(50)}

    assert warm.isdisjoint(VARIED.request(i).key for i in range(50))


def test_sessions_have_one_turn_unless_more_are_asked() -> None:
    assert Turns().single
    assert not Turns(count=Lengths(3)).single
    assert not Turns(count=Lengths.uniform(1, 2)).single


def test_turns_of_a_session_follow_the_seed_and_the_session() -> None:
    workload = Workload(turns=Turns(count=Lengths.uniform(1, 8)), seed=3)
    turns = [workload.turns_of(session) for session in range(50)]

    assert turns == [workload.turns_of(session) for session in range(50)]
    assert set(turns) == set(range(1, 9))


def test_pause_is_normal_and_never_negative() -> None:
    workload = Workload(turns=Turns(pause_s=1, pause_stddev_s=2))
    pauses = [workload.pause_before(index) for index in range(500)]

    assert min(pauses) >= 0
    assert len(set(pauses)) == 500


def test_pause_without_deviation_is_its_mean() -> None:
    assert Workload(turns=Turns(pause_s=1.5)).pause_before(4) == 1.5


def test_pauses_and_prefixes_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"pause -1 ± 0 s is negative"):
        Turns(pause_s=-1)
    with pytest.raises(ConfigError, match="-1 shared prefixes"):
        Prefixes(count=-1)
    with pytest.raises(ConfigError, match="shared prefixes of 0 tokens"):
        Prefixes(count=2)


def test_workload_survives_json() -> None:
    data = DataFile(path="t.jsonl", format=DataFormat.TRACE, sha256="ab", rows=3)
    workload = Workload(
        input_tokens=Lengths.uniform(5, 9),
        api=Api.CHAT,
        turns=Turns(count=Lengths(2, 1), pause_s=0.5),
        prefixes=Prefixes(count=2, tokens=64),
        data=data,
        extra={"top_k": 50},
    )

    assert msgspec.json.decode(msgspec.json.encode(workload), type=Workload) == workload
