"""What every process of the client does around sending: open, watch itself, tell how far it is."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from replicore.bench.client.drive import Driver
from replicore.bench.client.plan import Plan
from replicore.bench.client.tick import Progress, Tick
from replicore.bench.record import ClientSecond

TICK_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run went, besides its records.

    Attributes:
        stopped: Whether it was ended early.
        simulated: Whether an answer came from a simulator.
    """

    client: tuple[ClientSecond, ...]
    stopped: bool
    simulated: bool


async def drive(
    driver: Driver,
    plan: Plan,
    *,
    zero: float,
    progress: Progress | None,
    every_s: float = TICK_S,
    stop: asyncio.Event,
) -> Outcome:
    """Run a driver, watched by the plan's meter, without garbage collection."""
    meter = plan.meter(plan.worker, zero) if plan.meter is not None else None
    seconds: list[ClientSecond] = []
    with _no_collection():
        if meter is not None:
            meter.start()
        try:
            async with telling(progress, driver.tick, every_s=every_s):
                await driver.run(stop)
        finally:
            if meter is not None:
                seconds = meter.stop()
    return Outcome(client=tuple(seconds), stopped=driver.stopped, simulated=driver.simulated)


@asynccontextmanager
async def telling(
    progress: Progress | None, tick: Callable[[], Tick], *, every_s: float = TICK_S
) -> AsyncIterator[None]:
    """Tell ``progress`` at the beginning and the end of the block, and every ``every_s`` between.

    It is told no more after an ``OSError``: whoever looked on is gone, and that need not end a
    measurement.

    Raises:
        Exception: What else ``progress`` raised; within the block it is raised at its end.
    """
    if progress is None:
        yield
        return
    teller = asyncio.get_running_loop().create_task(_tell(progress, tick, every_s))
    try:
        yield
    finally:
        teller.cancel()
        await asyncio.wait([teller])
    if teller.cancelled():
        _tell_once(progress, tick)
    else:
        teller.result()


async def _tell(progress: Progress, tick: Callable[[], Tick], every_s: float) -> None:
    while True:
        if not _tell_once(progress, tick):
            return
        await asyncio.sleep(every_s)


def _tell_once(progress: Progress, tick: Callable[[], Tick]) -> bool:
    """Tell how far the run is; return whether anybody looks on."""
    try:
        progress(tick())
    except OSError:
        return False
    return True


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the garbage collector from stopping the process within the block.

    It would look at every object of a large run again and again, for up to tenths of a second, and
    a call leaves no cycles behind. What exists already is kept from it meanwhile too.
    """
    was_enabled = gc.isenabled()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()
