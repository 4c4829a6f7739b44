"""An event loop whose clock jumps to its next timer, and a sender that answers by it."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from replicore.bench.llmperf.prompts import Prompt
from replicore.bench.record import RequestRecord
from tests.unit.bench.llmperf.made import record

_ReturnT = TypeVar("_ReturnT")


class _JumpingSelector(selectors.SelectSelector):
    """Waits for nothing: a wait is time that has passed."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += timeout or 0.0
        return super().select(0)


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run_virtual(coroutine: Coroutine[Any, Any, _ReturnT]) -> _ReturnT:
    with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
        return runner.run(coroutine)


class FakeSender:
    """Answers request ``index`` after ``service_s(index)`` seconds.

    Attributes:
        sent: Of each request when it was sent, its index and its turn.
        stop_at_s: When somebody ends the run early.
        drawn_s: Time that has passed while prompts were made.
    """

    def __init__(self, service_s: Callable[[int], float]) -> None:
        self._service_s = service_s
        self._tasks: set[asyncio.Task[RequestRecord]] = set()
        self.sent: list[tuple[float, int, int]] = []
        self.stop_at_s = float("inf")
        self.drawn_s = 0.0

    def now(self) -> float:
        return asyncio.get_running_loop().time() + self.drawn_s

    def ended(self) -> bool:
        return self.now() >= self.stop_at_s

    def send(self, index: int, prompt: Prompt, turn: int) -> asyncio.Future[RequestRecord]:
        self.sent.append((self.now(), index, turn))
        task = asyncio.create_task(self._answer(index))
        self._tasks.add(task)
        return task

    async def _answer(self, index: int) -> RequestRecord:
        await asyncio.sleep(self._service_s(index))
        return record(index=index)
