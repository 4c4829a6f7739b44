"""One supervised process, a replica's or the gateway's: drives the table of ``replica.py``.

Each state has one coroutine that waits there and returns the event that ends it. The loop in
:meth:`Unit.run` is all that changes a state, and one task runs it, so nothing here needs a lock.
From outside one can only say what is wanted, with :meth:`Unit.start` and :meth:`Unit.stop`, or that
it is no use any more, with :meth:`Unit.condemn`.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

from replicore.deploy.exits import Exit, with_last_lines
from replicore.deploy.process import Job, Process
from replicore.deploy.replica import (
    GIVEN_UP,
    LIVE,
    Event,
    Failure,
    History,
    RestartPolicy,
    State,
    next_state,
    remember,
    restart_delay,
)
from replicore.deploy.status import UnitStatus
from replicore.errors import (
    DeploymentError,
    ReplicaError,
    ReplicaExited,
    ReplicaStartError,
    UpstreamError,
)
from replicore.units import format_duration

# The first look comes soon, since a small model is there within a second; a model that loads for
# minutes is asked once a second.
_FIRST_CHECK_S = 0.05
_LONGEST_CHECK_S = 1.0
_CHECK_GROWTH = 1.5

# A keeper kills on time. One that does not is itself stopped, or swapped out.
_KEEPER_MARGIN_S = 5.0


class Program(Protocol):
    """What a unit runs, and how to know that it serves."""

    name: str
    title: str  # as error messages call it
    cores: str
    endpoint: str

    def job(self, incarnation: int) -> Job:
        """Return what to start."""
        ...

    async def check_ready(self) -> None:
        """Return once it serves; one attempt.

        Raises:
            UpstreamError: Not yet; ask again.
            ReplicaStartError: It never will.
        """
        ...

    async def drained(self) -> None:
        """Return once nobody waits for an answer of it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How patient to be; times in seconds."""

    start_timeout_s: float = 600.0
    drain_timeout_s: float = 60.0
    stop_grace_s: float = 10.0
    restarts: RestartPolicy = field(default_factory=RestartPolicy)


Starter = Callable[[Job], Awaitable[Process]]


class Unit:
    """A program that is kept running while it is wanted.

    Attributes:
        process: What runs now; None unless the state is a live one.
        health: What the last probe found, for ``status``; whoever probes sets it.
        error: What went wrong last; None if nothing did since it was last started on request.

    Args:
        changed: Called after every change of what :meth:`status` returns.
        incarnation: Starts so far.
        turns: Shared by units of which only some may load at the same time; None lets it start at
            once.
    """

    def __init__(
        self,
        program: Program,
        limits: Limits,
        *,
        changed: Callable[[Unit], None],
        incarnation: int = 0,
        turns: asyncio.Semaphore | None = None,
        start_process: Starter = Process.start,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self.program = program
        self.state = State.STOPPED
        self.incarnation = incarnation
        self.process: Process | None = None
        self.health: str | None = None
        self.error: ReplicaError | None = None
        self._limits = limits
        self._grace_s = limits.stop_grace_s
        self._changed = changed
        self._turns = turns
        self._start_process = start_process
        self._clock = clock
        self._rng = rng or random.Random()
        self._history: History = ()
        self._retry_s: float | None = None
        self._state_since = clock()
        self._started_at = clock()
        self._ready_at: float | None = None
        self._closed = asyncio.Event()
        self._wanted = asyncio.Event()
        self._unwanted = asyncio.Event()
        self._undrained = asyncio.Event()
        self._condemned = asyncio.Event()
        self._sentence = ""
        self._moved = asyncio.Event()
        self._waits: dict[State, Callable[[], Coroutine[Any, Any, Event]]] = {
            State.STOPPED: self._stopped,
            State.STARTING: self._starting,
            State.READY: self._ready,
            State.DRAINING: self._draining,
            State.CONDEMNED: self._dying,
            State.BACKOFF: self._backoff,
            State.CRASH_LOOP: self._given_up,
            State.FAILED: self._given_up,
        }

    @property
    def name(self) -> str:
        return self.program.name

    def start(self) -> None:
        """Want it; without effect after :meth:`retire` and :meth:`close`."""
        if not self._closed.is_set():
            self._unwanted.clear()
            self._wanted.set()

    def stop(self, *, drain: bool = False) -> None:
        """Do not want it any more; with ``drain``, once it has answered what it was asked."""
        if drain:
            self._undrained.clear()
        else:
            self._undrained.set()
        self._wanted.clear()
        self._unwanted.set()

    def condemn(self, reason: str) -> None:
        """Kill it as a failure, with the usual restart after it; without effect unless ready.

        Args:
            reason: What it did not do, as the end of a sentence: ``it ...``.
        """
        if self.state is State.READY:
            self._sentence = reason
            self._condemned.set()

    def retire(self) -> None:
        """Let it run on if it does, but never start it again."""
        self._closed.set()
        self._wanted.clear()
        self._wake()

    def close(self) -> None:
        """Stop it for good."""
        self.retire()
        self.stop()

    def kill(self) -> None:
        """Stop it for good, and at once."""
        self.close()
        self._grace_s = 0
        if self.process is not None:
            self.process.stop(0)

    async def restart(self) -> None:
        """Stop it, whatever it does now, and return when it is ready again; one call at a time.

        Raises:
            ReplicaError: It did not become ready.
            DeploymentError: It was closed meanwhile.
        """
        self.stop(drain=True)
        await self.reach({State.STOPPED})
        before = self.incarnation
        self.start()
        settled = {State.READY, State.STOPPED} | GIVEN_UP
        if await self.reach(settled, after=before + 1) is not State.READY:
            raise self.error or DeploymentError(f"{self.name} was stopped during its restart")

    async def reach(self, states: Collection[State], *, after: int = 0) -> State:
        """Return the state once it is one of ``states``, in incarnation ``after`` or a later one.

        After :meth:`close` it also returns when all is stopped.
        """
        while not (self.state in states and self.incarnation >= after):
            if self._closed.is_set() and self.state is State.STOPPED:
                break
            await self._moved.wait()
        return self.state

    async def run(self) -> None:
        """Drive it until cancelled, which is safe once it is closed and ``stopped``."""
        try:
            while True:
                event = await self._waits[self.state]()
                self._enter(next_state(self.state, event))
        except Exception:
            await self._abandon()
            raise

    def status(self) -> UnitStatus:
        """Return a snapshot."""
        process = self.process
        return UnitStatus(
            name=self.name,
            state=self.state.value,
            state_s=self._clock() - self._state_since,
            cores=self.program.cores,
            endpoint=self.program.endpoint,
            incarnation=self.incarnation,
            pid=process.pid if process else None,
            keeper_pid=process.keeper_pid if process else None,
            failures=len(self._history),
            retry_s=self._retry_s,
            problem=self.error.message if self.error else None,
            health=self.health,
        )

    def _enter(self, state: State) -> None:
        self.state = state
        self._state_since = self._clock()
        if state not in LIVE:
            self.process = None
        self._tell()

    def _tell(self) -> None:
        self._wake()
        self._changed(self)

    def _wake(self) -> None:
        """Let everybody in :meth:`reach` look again."""
        self._moved.set()
        self._moved = asyncio.Event()

    async def _stopped(self) -> Event:
        await self._wanted.wait()
        self._history = ()
        self.error = None
        return Event.START

    async def _starting(self) -> Event:
        if self._turns is None:
            return await self._load()
        if not await self._take_turn(self._turns):
            return Event.STOP
        try:
            return await self._load()
        finally:
            self._turns.release()

    async def _take_turn(self, turns: asyncio.Semaphore) -> bool:
        """Return whether it may load now; False where it is not wanted any more."""
        turn = asyncio.ensure_future(turns.acquire())
        await _first(asyncio.shield(turn), self._unwanted.wait())
        if not self._unwanted.is_set():
            return True
        if not turn.cancel():
            turns.release()
        return False

    async def _load(self) -> Event:
        self.incarnation += 1
        self._started_at, self._ready_at = self._clock(), None
        self.health = None
        self._condemned.clear()
        try:
            self.process = await self._start_process(self.program.job(self.incarnation))
        except ReplicaStartError as error:
            self.error = ReplicaStartError(f"{self.program.title}: {error.message}")
            return Event.REFUSED
        except OSError as error:  # no process, file or memory left just now
            reason = error.strerror or "its keeper does not answer"
            return self._fail(f"{self.program.title} could not be started ({reason})")
        self._tell()
        check = asyncio.ensure_future(self._check_until_ready())
        try:
            return await self._started(self.process, check)
        finally:
            check.cancel()

    async def _started(
        self, process: Process, check: asyncio.Future[ReplicaStartError | None]
    ) -> Event:
        """Return what becomes of a process that runs, but is not ready yet."""
        timeout = self._limits.start_timeout_s
        await _first(process.wait(), self._unwanted.wait(), asyncio.shield(check), timeout=timeout)
        if self._unwanted.is_set():
            return Event.STOP
        if process.exit is not None:
            return self._lost(process.exit)
        if not check.done():
            end = await self._end(process)
            late = f"{self._who()} was not ready within {format_duration(timeout)} and was stopped"
            hint = "`supervisor.start_timeout` gives it longer"
            return self._fail(with_last_lines(late, end.last_lines), hint)
        if (refusal := check.result()) is not None:
            await self._end(process)
            self.error = refusal
            return Event.REFUSED
        process.unlink_segments()
        self._ready_at = self._clock()
        return Event.READY

    async def _ready(self) -> Event:
        process = self._live()
        await _first(process.wait(), self._unwanted.wait(), self._condemned.wait())
        if self._unwanted.is_set():
            return Event.STOP
        if process.exit is not None:
            return self._lost(process.exit)
        return Event.CONDEMN

    async def _draining(self) -> Event:
        if (process := self.process) is None:  # it still waited for its turn
            return Event.EXITED
        if self._ready_at is not None and not self._undrained.is_set():
            drained, hurried = self.program.drained(), self._undrained.wait()
            patience = self._limits.drain_timeout_s
            await _first(drained, hurried, process.wait(), timeout=patience)
        await self._end(process)
        return Event.EXITED

    async def _dying(self) -> Event:
        # Without grace: what is hung does not end when it is asked to, and its requests wait.
        end = await self._end(self._live(), grace_s=0)
        problem = f"{self._who()} was stopped: {self._sentence}"
        return self._fail(with_last_lines(problem, end.last_lines), self._log_hint)

    async def _backoff(self) -> Event:
        if self._retry_s is None:
            return Event.GIVE_UP
        await _first(self._unwanted.wait(), self._closed.wait(), timeout=self._retry_s)
        self._retry_s = None
        is_over = self._unwanted.is_set() or self._closed.is_set()
        return Event.STOP if is_over else Event.START

    async def _given_up(self) -> Event:
        await self._unwanted.wait()
        return Event.STOP

    async def _check_until_ready(self) -> ReplicaStartError | None:
        """Return once the program serves, or why it never will."""
        wait = _FIRST_CHECK_S
        while True:
            try:
                await self.program.check_ready()
            except ReplicaStartError as refusal:
                return refusal
            except UpstreamError:
                await asyncio.sleep(wait)
                wait = min(wait * _CHECK_GROWTH, _LONGEST_CHECK_S)
            else:
                return None

    async def _end(self, process: Process, *, grace_s: float | None = None) -> Exit:
        """Stop the process and return once nothing of it is left."""
        grace_s = self._grace_s if grace_s is None else grace_s
        process.stop(grace_s)
        await _first(process.wait(), timeout=grace_s + _KEEPER_MARGIN_S)
        if process.exit is None:
            process.kill_keeper()
        return await process.wait()

    def _lost(self, end: Exit) -> Event:
        """Take note of an end that nobody asked for."""
        when = "before it was ready, " if self._ready_at is None else ""
        after = self._clock() - self._started_at
        what = f"{self._who()} {end} {when}after {after:.1f} s"
        problem = with_last_lines(what, end.last_lines)
        hint = end.hint or self._log_hint
        if self._ready_at is None and end.is_usage_error:
            self.error = ReplicaExited(problem, hint=hint)
            return Event.REFUSED
        return self._fail(problem, hint)

    def _fail(self, problem: str, hint: str | None = None) -> Event:
        """Count a failure, and decide what follows from it."""
        now, policy = self._clock(), self._limits.restarts
        ready_s = now - self._ready_at if self._ready_at is not None else 0.0
        self._history = remember(self._history, Failure(at=now, ready_s=ready_s), policy)
        self._retry_s = restart_delay(self._history, now=now, policy=policy, rng=self._rng)
        self.error = ReplicaExited(problem, hint=hint)
        return Event.EXITED

    @property
    def _log_hint(self) -> str:
        return f"`replicore logs {self.name}` shows the whole log"

    def _who(self) -> str:
        cores = f"cores {self.program.cores}, " if self.program.cores else ""
        return f"{self.program.title} ({cores}pid {self._live().pid})"

    async def _abandon(self) -> None:
        """Leave nothing behind after a bug, past the table, for that can be what is wrong."""
        try:
            if self.process is not None:
                self.process.stop(0)
                await self.process.wait()
        finally:
            self._closed.set()
            self._enter(State.STOPPED)

    def _live(self) -> Process:
        if self.process is None:
            raise RuntimeError(f"{self.name} is {self.state.value} without a process")
        return self.process


async def _first(
    *waits: Coroutine[Any, Any, Any] | asyncio.Future[Any], timeout: float | None = None
) -> None:
    """Return when one of ``waits`` is over, or after ``timeout`` seconds; give up the others."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
