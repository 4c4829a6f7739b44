"""Replicas that have requests and send nothing: the hung are restarted, the busy are not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from replicore.errors import UpstreamError
from replicore.http.fetch import fetch
from tests.integration.deployment import TIMEOUT_S, Up, eventually, up

ONE_SLOT = ("--engine", "sim", "--replicas", "1", "--set", "layout.batch_size=1")


@contextmanager
def one_replica(folder: Path, *settings: str) -> Iterator[Up]:
    """Run one simulated replica with one slot, whose silence is suspect after half a second."""
    fast = ("gateway.stall_timeout=500ms", "supervisor.backoff_initial=10ms")
    options = [word for setting in (*fast, *settings) for word in ("--set", setting)]
    with up(*ONE_SLOT, *options, state=folder / "s") as at:
        yield at


async def ask(at: Up, **body: object) -> None:
    """Ask for a completion, and for nothing else: what becomes of it does not matter."""
    data = json.dumps({"prompt": "hello", **body}).encode()
    try:
        await fetch(at.root_url, "POST", "/v1/completions", body=data, timeout=TIMEOUT_S)
    except UpstreamError:
        return


def ask_until_restarted(at: Up, **body: object) -> None:
    async def test() -> None:
        asking = asyncio.create_task(ask(at, **body))
        await asyncio.to_thread(eventually, lambda: at.replica(0).incarnation > 1)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    asyncio.run(test())


def test_wedged_replica_is_restarted(tmp_path: Path) -> None:
    with one_replica(tmp_path, 'engine.sim.faults=["wedge=1"]') as at:  # after its readiness check
        ask_until_restarted(at, stream=True)
        problem = at.replica(0).problem or ""

    assert problem.startswith("replica r0 (cores 0")
    assert "was stopped: it had requests and made no progress for 0.5 s" in problem


def test_replica_that_stalls_in_all_its_slots_is_restarted(tmp_path: Path) -> None:
    with one_replica(tmp_path, 'engine.sim.faults=["stall-after-tokens=2"]') as at:
        ask_until_restarted(at, max_tokens=9, ignore_eos=True)


def test_busy_replica_that_is_silent_but_makes_progress_is_left_alone(tmp_path: Path) -> None:
    with one_replica(tmp_path, "engine.sim.decode_tokens_per_s=10") as at:
        before = at.replica(0)
        asyncio.run(ask(at, max_tokens=40, ignore_eos=True))  # one answer, after four seconds
        after = at.replica(0)

    assert (after.pid, after.failures) == (before.pid, 0)
