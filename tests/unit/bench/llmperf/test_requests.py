"""The requests of the corrected mode, made without a server that could tokenise."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from replicore.bench.llmperf.counting import Counted
from replicore.bench.llmperf.requests import load_of, make_sessions
from replicore.bench.llmperf.servers import Servers
from replicore.bench.llmperf.vocabulary import Vocabulary
from replicore.bench.load.jobs import Session
from replicore.engines.sim.tokenizer import tokenize
from replicore.errors import ConfigError
from tests.unit.bench.llmperf.made import options

NOBODY = Servers((), "/v1/chat/completions", "EMPTY")


def make(
    seed: int = 1, vocabulary: Vocabulary | None = None, **fields: Any
) -> tuple[list[Session], Counted]:
    given = options(**fields)
    return asyncio.run(make_sessions(given, NOBODY, load_of(given), seed, vocabulary))


def encode(text: str, *, add_special_tokens: bool) -> SimpleNamespace:
    return SimpleNamespace(ids=tokenize(text))


def bodies(sessions: list[Session]) -> list[dict[str, Any]]:
    jobs = [job for session in sessions for job in session.jobs]
    return [json.loads(job.body) for job in jobs if isinstance(job.body, bytes)]


def test_warm_up_comes_first_and_has_prompts_of_its_own() -> None:
    sessions, _ = make(warmup=2, run={"requests": 3})

    assert [(one.index, one.warmup) for one in sessions] == [
        *((0, True), (1, True)),
        *((0, False), (1, False), (2, False)),
    ]
    assert len({body["messages"][1]["content"] for body in bodies(sessions)}) == 5


def test_requests_depend_on_the_seed_and_on_their_index_only() -> None:
    few, _ = make(seed=5, run={"requests": 3})
    many, _ = make(seed=5, run={"requests": 9}, warmup=4)
    other, _ = make(seed=6, run={"requests": 3})

    assert bodies(few) == bodies(many[4:7])
    assert bodies(few) != bodies(other)


def test_lengths_have_the_asked_mean_and_deviation() -> None:
    sessions, _ = make(
        mean_output_tokens=256,
        stddev_output_tokens=30,
        mean_input_tokens=500,
        stddev_input_tokens=50,
        run={"requests": 400},
    )
    outputs = [job.output_tokens for one in sessions for job in one.jobs]
    inputs = [job.input_tokens for one in sessions for job in one.jobs]

    # three standard errors: 3 x 30 / sqrt(400) and 3 x 50 / sqrt(400)
    assert np.mean(outputs) == pytest.approx(256, abs=4.5)
    assert np.mean(inputs) == pytest.approx(500, abs=7.5)


def test_body_asks_for_the_drawn_output_unless_it_is_overridden() -> None:
    sessions, _ = make(run={"requests": 3})
    fixed, _ = make(run={"requests": 3, "sampling": {"max_tokens": 7}})

    drawn = [job.output_tokens for one in sessions for job in one.jobs]
    assert [body["max_tokens"] for body in bodies(sessions)] == drawn
    assert [body["max_tokens"] for body in bodies(fixed)] == [7, 7, 7]


def test_nobody_who_counts_makes_an_estimate() -> None:
    _, counted = make()

    assert counted.exact is False
    assert counted.by == "an estimate, the chat template not counted"


def test_tokenizer_of_the_user_counts_all_but_the_chat_template() -> None:
    sessions, counted = make(vocabulary=Vocabulary(encode))

    lengths = [job.input_tokens for one in sessions for job in one.jobs]
    assert [len(tokenize(body["messages"][1]["content"])) for body in bodies(sessions)] == lengths
    assert counted.exact is False
    assert counted.by == "the tokenizer given, the chat template not counted"


def test_closed_loop_has_no_times_and_an_open_loop_has_them() -> None:
    closed, _ = make(run={"requests": 3})
    opened, _ = make(run={"requests": 3}, arrivals="10/s")

    assert [one.at_s for one in closed] == [None] * 3
    assert [one.at_s for one in opened] == pytest.approx([0.0, 0.1, 0.2])


def test_trace_with_too_few_times_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_text('{"timestamp": 0, "input_length": 5, "output_length": 5}\n')

    with pytest.raises(ConfigError, match="the trace has 1 times, 10 requests were asked for"):
        make(arrivals=f"trace:{path}")


def test_mean_that_leaves_no_room_for_text_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--mean-input-tokens: 5 leaves no room for text"):
        make(mean_input_tokens=5, stddev_input_tokens=0)
