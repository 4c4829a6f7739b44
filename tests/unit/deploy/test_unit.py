"""Scripted lives of a unit: a fake process, a fake clock, the real table."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from replicore.deploy.exits import Exit
from replicore.deploy.process import Job, Process
from replicore.deploy.replica import RestartPolicy, State
from replicore.deploy.unit import Limits, Unit
from replicore.errors import DeploymentError, ReplicaStartError, UpstreamError

CRASH = Exit(code=1, last_lines=("oh no",))
LIMITS = Limits(
    stop_grace_s=10,
    restarts=RestartPolicy(backoff_initial_s=0.001, backoff_max_s=0.001, max_failures=3),
)

NEVER_AGAIN = replace(
    LIMITS, restarts=RestartPolicy(backoff_initial_s=3600, backoff_max_s=3600, max_failures=3)
)


class FakeProcess(Process):
    """Runs until the test, or a stop, ends it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.stops: list[float] = []
        self.has_segments = True
        self._over: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()

    @property
    def keeper_pid(self) -> int:
        return self.pid + 1000

    @property
    def exit(self) -> Exit | None:
        return self._over.result() if self._over.done() else None

    async def wait(self) -> Exit:
        return await asyncio.shield(self._over)

    def unlink_segments(self) -> None:
        self.has_segments = False

    def stop(self, grace_s: float) -> None:
        self.stops.append(grace_s)
        self.end(Exit(signal="SIGTERM"))

    def break_down(self, bug: Exception) -> None:
        """Let everybody who waits for the end see a bug."""
        self._over.set_exception(bug)

    def end(self, how: Exit) -> None:
        if not self._over.done():
            self._over.set_result(how)


class FakeProgram:
    name = "r0"
    title = "replica r0"
    cores = "0-3"
    endpoint = "http://127.0.0.1:1"

    def __init__(self) -> None:
        self.check: Exception | None = None
        self.checks = 0
        self.unready_checks = 0
        self.is_drained = asyncio.Event()
        self.is_drained.set()

    def job(self, incarnation: int) -> Job:
        return Job(argv=("fake",), tag={}, log=Path(f"/nowhere/r0.{incarnation}.log"))

    async def check_ready(self) -> None:
        self.checks += 1
        if self.checks <= self.unready_checks:
            raise UpstreamError("loading")
        if self.check is not None:
            raise self.check

    async def drained(self) -> None:
        await self.is_drained.wait()


class Stage:
    """A unit, and the processes that it has started."""

    def __init__(self, limits: Limits = LIMITS, *, turns: asyncio.Semaphore | None = None) -> None:
        self.now = 0.0
        self.program = FakeProgram()
        self.processes: list[FakeProcess] = []
        self.start_error: Exception | None = None
        self.unit = Unit(
            self.program,
            limits,
            changed=lambda unit: None,
            turns=turns,
            start_process=self._start,
            clock=lambda: self.now,
            rng=Random(0),
        )

    @property
    def process(self) -> FakeProcess:
        return self.processes[-1]

    async def ready(self) -> None:
        await self.unit.reach({State.READY}, after=len(self.processes))

    async def crash(self, *, after_s: float) -> State:
        """End a ready process; return the state once that has had its effect."""
        self.now += after_s
        self.process.end(CRASH)
        await self.unit.reach({State.BACKOFF, State.CRASH_LOOP})
        return await self.unit.reach({State.READY, State.CRASH_LOOP})

    async def _start(self, job: Job) -> Process:
        if self.start_error is not None:
            raise self.start_error
        self.processes.append(FakeProcess(len(self.processes) + 1))
        return self.process


Scenario = Callable[[Stage], Awaitable[None]]


async def settle() -> None:
    """Return once the unit has done all that it does without waiting for anything."""
    for _ in range(20):
        await asyncio.sleep(0)


def play(scenario: Scenario, limits: Limits = LIMITS) -> None:
    """Run a scenario on a unit that is wanted, within seconds."""

    async def run() -> None:
        stage = Stage(limits)
        life = asyncio.create_task(stage.unit.run())
        stage.unit.start()
        try:
            async with asyncio.timeout(5):
                await scenario(stage)
        finally:
            life.cancel()
            await asyncio.gather(life, return_exceptions=True)

    asyncio.run(run())


def test_failures_in_a_row_end_in_a_crash_loop() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.ready()
        states = [await stage.crash(after_s=1) for _ in range(3)]

        assert states == [State.READY, State.READY, State.CRASH_LOOP]
        assert stage.unit.status().failures == 3

    play(scenario)


def test_stable_run_in_between_wipes_out_the_failures() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.ready()
        states = [await stage.crash(after_s=after_s) for after_s in (1, 1, 60, 1, 1)]

        assert states == [State.READY] * 4 + [State.CRASH_LOOP]

    play(scenario)


def test_start_on_request_after_a_crash_loop_begins_a_new_count() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.ready()
        for _ in range(3):
            await stage.crash(after_s=1)
        await stage.unit.restart()

        assert stage.unit.state is State.READY
        assert stage.unit.status().failures == 0
        assert stage.unit.error is None

    play(scenario)


def test_lost_replica_is_told_with_cores_pid_time_and_last_lines() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.ready()
        await stage.crash(after_s=12.41)

        assert stage.unit.status().problem == (
            "replica r0 (cores 0-3, pid 1) exited with code 1 after 12.4 s; its last lines:\n"
            "  | oh no"
        )

    play(scenario)


def test_stop_is_a_stop_and_no_failure() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.ready()
        stage.unit.stop()
        await stage.unit.reach({State.STOPPED})

        assert stage.process.stops == [10]
        assert stage.unit.status().failures == 0

    play(scenario)


def test_condemned_replica_is_killed_counted_and_started_again() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.ready()
        stage.unit.condemn("it did nothing")
        await stage.unit.reach({State.READY}, after=2)

        assert stage.processes[0].stops == [0]
        assert stage.unit.status().failures == 1
        assert (stage.unit.status().problem or "").startswith(
            "replica r0 (cores 0-3, pid 1) was stopped: it did nothing"
        )

    play(scenario)


def test_condemned_replica_that_is_stopped_meanwhile_stays_stopped() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.ready()
        stage.unit.condemn("it did nothing")
        stage.unit.stop()
        await stage.unit.reach({State.STOPPED})

        assert stage.unit.incarnation == 1

    play(scenario)


def test_only_a_ready_replica_can_be_condemned() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.ready()
        stage.process.end(CRASH)
        await stage.unit.reach({State.BACKOFF})
        stage.unit.condemn("it did nothing")
        stage.unit.stop()
        await stage.unit.reach({State.STOPPED})
        await settle()

        assert "exited with code 1" in (stage.unit.status().problem or "")

    play(scenario, NEVER_AGAIN)


def test_kill_stops_without_grace_and_is_no_failure() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.ready()
        stage.unit.kill()
        await stage.unit.reach({State.STOPPED})

        assert set(stage.process.stops) == {0}
        assert stage.unit.error is None

    play(scenario)


def test_restart_waits_until_the_replica_is_drained() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.ready()
        stage.program.is_drained.clear()
        restart = asyncio.create_task(stage.unit.restart())
        await stage.unit.reach({State.DRAINING})
        assert stage.process.stops == []

        stage.program.is_drained.set()
        await restart
        assert [process.stops for process in stage.processes] == [[10], []]

    play(scenario)


def test_restart_gives_requests_the_drain_timeout_and_not_only_the_stop_grace() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.ready()
        stage.program.is_drained.clear()
        restart = asyncio.create_task(stage.unit.restart())
        await stage.unit.reach({State.DRAINING})
        await settle()  # the grace, of no seconds, is over
        assert stage.unit.state is State.DRAINING

        stage.program.is_drained.set()
        await restart

    play(scenario, replace(LIMITS, stop_grace_s=0))


def test_restart_does_not_wait_longer_than_the_drain_timeout() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.ready()
        stage.program.is_drained.clear()
        await stage.unit.restart()

        assert len(stage.processes) == 2

    play(scenario, replace(LIMITS, stop_grace_s=3600, drain_timeout_s=0.01))


def test_stop_for_good_does_not_wait_until_the_replica_is_drained() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.ready()
        stage.program.is_drained.clear()
        restart = asyncio.create_task(stage.unit.restart())
        await stage.unit.reach({State.DRAINING})
        stage.unit.close()
        await stage.unit.reach({State.STOPPED})

        assert len(stage.processes) == 1
        await asyncio.gather(restart, return_exceptions=True)

    play(scenario)


def test_replica_that_is_not_ready_yet_is_asked_again() -> None:
    async def scenario(stage: Stage) -> None:
        stage.program.unready_checks = 2
        await stage.ready()

        assert stage.program.checks == 3

    play(scenario)


def test_replica_that_serves_something_else_is_stopped_and_failed() -> None:
    async def scenario(stage: Stage) -> None:
        stage.program.check = ReplicaStartError("another model")
        await stage.unit.reach({State.FAILED})

        assert stage.process.stops == [10]
        assert stage.unit.process is None

    play(scenario)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ReplicaStartError("no such program"), State.FAILED),  # will be so next time too
        (BlockingIOError(11, "Resource temporarily unavailable"), State.CRASH_LOOP),  # was retried
    ],
)
def test_process_that_cannot_be_started(error: Exception, expected: State) -> None:
    async def scenario(stage: Stage) -> None:
        stage.start_error = error

        assert await stage.unit.reach({State.FAILED, State.CRASH_LOOP}) is expected

    play(scenario)


def test_stop_during_a_backoff_ends_it() -> None:
    async def scenario(stage: Stage) -> None:
        stage.start_error = OSError(11, "Resource temporarily unavailable")
        await stage.unit.reach({State.BACKOFF})
        stage.unit.stop()
        await stage.unit.reach({State.STOPPED})

        assert stage.unit.status().retry_s is None

    play(scenario)


def test_retired_replica_runs_on_and_is_not_restarted_when_it_ends() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.ready()
        stage.unit.retire()
        assert stage.unit.state is State.READY
        stage.process.end(CRASH)
        await stage.unit.reach({State.STOPPED})

        assert len(stage.processes) == 1

    play(scenario, NEVER_AGAIN)


def test_retired_replica_does_not_wait_for_the_end_of_its_backoff() -> None:
    async def scenario(stage: Stage) -> None:
        stage.start_error = OSError(11, "Resource temporarily unavailable")
        await stage.unit.reach({State.BACKOFF})
        stage.unit.retire()

        assert await stage.unit.reach({State.STOPPED}) is State.STOPPED

    play(scenario, NEVER_AGAIN)


def test_retired_replica_is_drained_to_the_end() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.ready()
        stage.program.is_drained.clear()
        restart = asyncio.create_task(stage.unit.restart())
        await stage.unit.reach({State.DRAINING})
        stage.unit.retire()
        await settle()
        assert stage.unit.state is State.DRAINING

        stage.program.is_drained.set()
        with pytest.raises(DeploymentError, match="was stopped during its restart"):
            await restart

    play(scenario)


def test_bug_that_also_spoils_the_end_of_its_process_does_not_keep_a_unit_from_stopping() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.ready()
        stage.process.break_down(ZeroDivisionError())

        assert await stage.unit.reach({State.STOPPED}) is State.STOPPED

    play(scenario)


def test_start_after_close_has_no_effect() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.ready()
        stage.unit.close()
        stage.unit.start()

        assert await stage.unit.reach({State.STOPPED}) is State.STOPPED

    play(scenario)


def test_close_between_stop_and_start_of_a_restart_ends_it() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.ready()
        restart = asyncio.create_task(stage.unit.restart())
        await stage.unit.reach({State.STOPPED})
        stage.unit.close()

        with pytest.raises(DeploymentError, match="was stopped during its restart"):
            await restart

    play(scenario)


def play_two(scenario: Callable[[Stage, Stage], Awaitable[None]]) -> None:
    """Run a scenario on two units of which only one may load at a time; both are wanted."""

    async def run() -> None:
        turns = asyncio.Semaphore(1)
        stages = [Stage(turns=turns) for _ in range(2)]
        stages[0].program.unready_checks = 1_000_000
        lives = [asyncio.create_task(stage.unit.run()) for stage in stages]
        for stage in stages:
            stage.unit.start()
        try:
            async with asyncio.timeout(5):
                await settle()
                await scenario(*stages)
        finally:
            for life in lives:
                life.cancel()
            await asyncio.gather(*lives, return_exceptions=True)

    asyncio.run(run())


def test_unit_waits_while_another_one_loads_and_then_starts() -> None:
    async def scenario(first: Stage, second: Stage) -> None:
        assert (len(first.processes), len(second.processes)) == (1, 0)

        first.program.unready_checks = 0
        await second.ready()

        assert len(second.processes) == 1

    play_two(scenario)


def test_unit_starts_when_the_one_that_loads_dies() -> None:
    async def scenario(first: Stage, second: Stage) -> None:
        first.process.end(CRASH)
        await second.unit.reach({State.READY})

        assert len(second.processes) == 1

    play_two(scenario)


def test_unit_that_waits_for_its_turn_can_be_stopped_and_leaves_the_turn_to_others() -> None:
    async def scenario(first: Stage, second: Stage) -> None:
        second.unit.stop()
        await second.unit.reach({State.STOPPED})
        first.unit.stop()
        await first.unit.reach({State.STOPPED})
        second.unit.start()
        await second.unit.reach({State.READY})

        assert len(second.processes) == 1

    play_two(scenario)
