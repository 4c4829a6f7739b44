"""A hundred open streams, and ``kill -9`` of the engine that serves half of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.streams import Ask, Stream, ask, kill_engine, resumed, run_streams
from tests.integration.deployment import SIMULATED, Up, eventually, up
from tests.integration.gateway.test_resume import without_details

STREAMS = 100
SLOTS = ("--set", f"layout.batch_size={STREAMS}", "--set", "supervisor.backoff_initial=100ms")
SIMULATOR = (*SIMULATED, *SLOTS, "--set", "engine.sim.decode_tokens_per_s=25")
LLAMACPP = (*SLOTS, "--replicas", "2", "--tp", "1", "--set", "layout.max_model_len=256")


@pytest.fixture(name="simulators")
def _simulators(tmp_path: Path) -> Iterator[Up]:
    with up(*SIMULATOR, state=tmp_path / "s") as at:
        yield at


def struck(at: Up, asks: list[Ask], victim: int) -> list[Stream]:
    """Return the streams after the kill of a replica that served some of them."""
    incarnation = at.replica(victim).incarnation
    streams = asyncio.run(run_streams(at.root_url, asks, strike=lambda: kill_engine(at, victim)))
    eventually(lambda: at.status().ready and at.replica(victim).incarnation > incarnation)
    eventually(at.is_idle)
    return streams


def test_streams_of_a_killed_simulator_end_as_if_nothing_had_happened(simulators: Up) -> None:
    asks = [ask(index, max_tokens=30) for index in range(STREAMS)]
    expected = asyncio.run(run_streams(simulators.root_url, asks))
    for victim in (0, 1):
        streams = struck(simulators, asks, victim)

        assert len(resumed(streams, f"r{victim}")) > STREAMS // 4
        assert all(one.is_whole for one in streams)
        for one, other in zip(streams, expected, strict=True):
            assert without_details(one.objects()) == without_details(other.objects())


@pytest.mark.engine
@pytest.mark.slow
def test_streams_of_a_killed_llamacpp_all_come_to_their_end(tmp_path: Path) -> None:
    asks = [ask(index, max_tokens=8, chat_every=50, text="{}") for index in range(STREAMS)]
    with up(*LLAMACPP, state=tmp_path / "s") as at:
        streams = struck(at, asks, 0)

    assert len(resumed(streams, "r0")) > STREAMS // 4
    assert all(one.is_whole for one in streams)
    ends = [one.objects() for one in streams]
    reasons = [[c["finish_reason"] for e in events for c in e["choices"]][-1] for events in ends]
    assert reasons == ["length"] * STREAMS
    usages = [events[-1]["usage"] for events in ends if not events[-1]["choices"]]
    assert [usage["completion_tokens"] for usage in usages] == [8] * len(usages)
