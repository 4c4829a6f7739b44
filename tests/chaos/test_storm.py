"""Ten thousand requests, and everything that can go wrong with them: nothing may be left of it."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from random import Random

import psutil
import pytest
import uvloop

from replicore.gateway import breaker, server
from replicore.gateway.key_file import Caller, add_caller, digest_of, new_key
from replicore.gateway.table import Settings
from tests.chaos.storm import Sky, Storm, expected_texts, sky, until

SEED = 20_260
REQUESTS = 10_000
TIMEOUT_S = 180.0

# Of the whole process: gateway, engines and clients. What grows with requests would be more.
MOST_GROWTH_BYTES = 6 * 2**20


@pytest.fixture(name="keys")
def _keys(tmp_path: Path) -> tuple[Path, list[bytes]]:
    path, keys = tmp_path / "keys", []
    for name, most in (("one", 12), ("two", None), ("three", 1000)):
        key = new_key().encode()
        add_caller(path, Caller(name=name, digest=digest_of(key), max_in_flight=most))
        keys.append(key)
    return path, keys


@pytest.fixture(name="_hurries", autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the gateway's pauses: a storm has no time for them."""
    monkeypatch.setattr(server, "_SWEEP_S", 0.05)
    monkeypatch.setattr(breaker, "FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr(breaker, "LONGEST_PAUSE_S", 0.2)


def rss() -> int:
    gc.collect()
    return psutil.Process().memory_info().rss


async def settle(at: Sky) -> None:
    """Return when the gateway says that it is idle and all its replicas are back."""
    await until(lambda: at.is_idle and all(one.state == "ready" for one in at.table.replicas))


@pytest.mark.slow
def test_after_a_storm_every_counter_is_zero_and_nothing_is_left(
    keys: tuple[Path, list[bytes]],
) -> None:
    path, secrets = keys
    settings = Settings(
        api_keys_file=str(path), max_queue=40, queue_timeout=0.4, stall_timeout=0.3, slow_start=0.1
    )

    async def test() -> None:
        expected = await expected_texts()
        async with sky(SEED, engines=3, settings=settings) as at:
            storm = Storm(at, Random(SEED), secrets, expected)
            await storm.blow(REQUESTS // 2)
            await settle(at)
            half_way = rss()
            await storm.blow(REQUESTS // 2)
            await settle(at)
            growth = rss() - half_way
            counters = at.counters()
        print(dict(storm.outcomes), f"RSS grew by {growth / 2**20:.1f} MiB")

        assert storm.wrong == []
        assert set(counters) == {0.0}
        assert growth < MOST_GROWTH_BYTES
        assert sum(storm.outcomes.values()) == REQUESTS
        assert not at.raw
        assert not any(one.connections for one in at.engines)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(test(), TIMEOUT_S))
