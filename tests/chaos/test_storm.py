"""Ten thousand requests, and everything that can go wrong with them: nothing may be left of it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import TypeVar

import psutil
import pytest
import uvloop

from replicore.gateway import server
from replicore.gateway.access.key_file import Caller, add_caller, digest_of, new_key
from replicore.gateway.routing import breaker
from replicore.gateway.table import Settings
from replicore.http.fetch import fetch
from tests.chaos.storm import SLOTS, Sky, Storm, expected_texts, sky, until
from tests.chaos.streams import kill_engine
from tests.integration.deployment import Up, eventually, up

SEED = 20_260
REQUESTS = 10_000
TIMEOUT_S = 180.0

T = TypeVar("T")

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


@pytest.fixture(name="_hurries")
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


def run(test: Callable[[], Awaitable[T]]) -> T:
    async def bounded() -> T:
        async with asyncio.timeout(TIMEOUT_S):
            return await test()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(bounded())


@pytest.mark.slow
@pytest.mark.usefixtures("_hurries")
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
            random = Random(SEED)
            storm = Storm(at.url, random, expected, lambda: at.strike(random), secrets)
            await storm.blow(REQUESTS // 2)
            await settle(at)
            half_way = rss()
            await storm.blow(REQUESTS // 2)
            await settle(at)
            growth = rss() - half_way
            counters = at.counters()

        assert storm.wrong == []
        assert set(counters) == {0.0}
        assert growth < MOST_GROWTH_BYTES
        assert sum(storm.outcomes.values()) == REQUESTS
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(test)


REAL = (
    *("--set", "engine.kind=sim", "--replicas", "3", "--tp", "1"),
    *("--set", "engine.sim.cores=3"),
    *("--set", f"layout.batch_size={SLOTS}"),
    *("--set", "engine.sim.decode_tokens_per_s=2000"),
    *("--set", "supervisor.backoff_initial=100ms"),
    *("--set", "gateway.slow_start=100ms"),
)
REAL_REQUESTS = 1500


def running(at: Up) -> list[float]:
    """Return what each engine works on, and what waits there."""

    async def ask(endpoint: str) -> list[float]:
        reply = await fetch(endpoint, "GET", "/metrics", timeout=10.0)
        lines = reply.body.decode().splitlines()
        return [float(one.split()[-1]) for one in lines if one.startswith("vllm:num_requests_")]

    return [count for one in at.status().replicas for count in asyncio.run(ask(one.endpoint or ""))]


def is_calm(at: Up) -> bool:
    return at.status().ready and at.is_idle()


def storm_over(at: Up, seed: int) -> Storm:
    """Return a storm over a deployment, in which some engines are killed."""
    random = Random(seed)

    async def test() -> Storm:
        storm = Storm(at.root_url, random, await expected_texts(), strike, strike_every=500)
        await storm.blow(REAL_REQUESTS, clients=32)
        return storm

    def strike() -> None:
        living = [index for index, one in enumerate(at.status().replicas) if one.pid is not None]
        kill_engine(at, random.choice(living))

    return run(test)


@pytest.mark.slow
def test_after_kills_of_real_engines_every_counter_is_zero(tmp_path: Path) -> None:
    with up(*REAL, state=tmp_path / "s") as at:
        sizes = []
        for seed in (1, 2):
            storm = storm_over(at, seed)
            assert storm.wrong == []
            eventually(lambda: is_calm(at), "not idle again")
            sizes.append(psutil.Process(at.status().gateway.pid).memory_info().rss)
        stats = at.status().stats
        left = running(at)

    assert stats is not None
    counters = [(one.prefill_tokens, one.decode_tokens) for one in stats.replicas.values()]
    assert set(counters) == {(0.0, 0.0)}
    assert set(left) == {0.0}
    assert sizes[1] - sizes[0] < MOST_GROWTH_BYTES
