"""A whole deployment of fake engines, in this process: it starts, it heals, it stops."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from replicore.deploy.deployment import claim
from replicore.deploy.state import Claims, log_files, read_record, state_root
from replicore.deploy.status import UnitStatus
from replicore.deploy.strays import find_strays
from replicore.deploy.supervisor import Supervisor, running
from replicore.errors import (
    ConfigError,
    DeploymentError,
    ReplicaExited,
    ReplicaStartError,
)
from replicore.http.fetch import fetch
from tests.integration.deploy.deployments import (
    DEADLINE_S,
    FakeEngine,
    deployment,
    is_alive,
    keeper_of,
    pid_of,
    until,
)

Scenario = Callable[[Supervisor], Awaitable[None]]


def deploy(scenario: Scenario, engine: FakeEngine | None = None, **options: object) -> None:
    """Run the scenario on a deployment that is ready."""

    async def run() -> None:
        async with running(deployment(engine, **options)) as supervisor:  # type: ignore[arg-type]
            await supervisor.wait_ready(DEADLINE_S)
            await scenario(supervisor)

    asyncio.run(run())


def states(supervisor: Supervisor) -> list[str]:
    return [replica.state for replica in supervisor.replicas]


async def comes_back(supervisor: Supervisor, index: int, before: UnitStatus) -> UnitStatus:
    """Return the replica once it is ready in a later incarnation."""
    await until(lambda: supervisor.replicas[index].incarnation > before.incarnation)
    await supervisor.wait_ready(DEADLINE_S)
    return supervisor.replicas[index]


def folder() -> Path:
    return state_root() / "test"


def test_deployment_is_ready_and_tells_so() -> None:
    async def scenario(supervisor: Supervisor) -> None:
        status = supervisor.status()

        assert status.ready
        assert [replica.name for replica in status.replicas] == ["r0", "r1"]
        assert [replica.cores for replica in status.replicas] == ["0", "1"]
        assert status.gateway.state == "ready"
        assert (await fetch(supervisor.url, "GET", "/health", timeout=5)).status == 200

    deploy(scenario)


def test_stopped_deployment_leaves_no_process_and_no_claim() -> None:
    ids: list[str] = []

    async def scenario(supervisor: Supervisor) -> None:
        record = read_record(folder())
        assert record is not None
        ids.append(record.id)

    deploy(scenario, kind="cpu")

    assert find_strays({"REPLICORE_DEPLOYMENT": ids[0]}) == []
    with Claims(state_root()) as claims:
        assert claims.running() == []


def test_state_file_knows_every_process() -> None:
    async def scenario(supervisor: Supervisor) -> None:
        record = read_record(folder())

        assert record is not None
        assert record.supervisor.pid == os.getpid()
        for replica in supervisor.replicas:
            unit = record.unit(replica.name)
            assert unit.process is not None
            assert unit.process.pid == replica.pid
            assert unit.process.start_ticks > 0

    deploy(scenario)


def test_replica_starts_once_the_one_before_it_is_ready_where_one_loads_at_a_time() -> None:
    seen: list[tuple[str, str, int | None]] = []

    def note(unit: UnitStatus) -> None:
        seen.append((unit.name, unit.state, unit.pid))

    async def scenario() -> None:
        plan = deployment(replicas=3, supervisor__starts_together="1")
        async with running(plan, events=note) as supervisor:
            await supervisor.wait_ready(DEADLINE_S)

    asyncio.run(scenario())

    names = ("r0", "r1", "r2")
    started = [seen.index(next(e for e in seen if e[0] == name and e[2])) for name in names]
    ready = [seen.index(next(e for e in seen if e[:2] == (name, "ready"))) for name in names]
    assert all(
        before < after for before, after in zip(sorted(ready)[:2], sorted(started)[1:], strict=True)
    )


@pytest.mark.parametrize("victim", [pid_of, keeper_of], ids=["engine", "keeper"])
def test_killed_replica_is_restarted_on_its_port(victim: Callable[[UnitStatus], int]) -> None:
    async def scenario(supervisor: Supervisor) -> None:
        before, other = supervisor.replicas
        os.kill(victim(before), signal.SIGKILL)
        after = await comes_back(supervisor, 0, before)

        assert not is_alive(pid_of(before))
        assert after.endpoint == before.endpoint
        assert supervisor.replicas[1].pid == other.pid
        assert after.problem is not None

    deploy(scenario)


@pytest.mark.parametrize("victim", [pid_of, keeper_of], ids=["engine", "keeper"])
def test_daemon_of_a_killed_replica_is_gone_before_the_restart(
    victim: Callable[[UnitStatus], int],
) -> None:
    async def scenario(supervisor: Supervisor) -> None:
        record = read_record(folder())
        assert record is not None
        replica = supervisor.replicas[0]
        tag = {"REPLICORE_DEPLOYMENT": record.id, "REPLICORE_UNIT": f"r0.{replica.incarnation}"}
        assert len(find_strays(tag)) == 3  # keeper, engine and daemon
        os.kill(victim(replica), signal.SIGKILL)
        await comes_back(supervisor, 0, replica)

        assert find_strays(tag) == []

    deploy(scenario, FakeEngine("--daemon"))


@pytest.mark.parametrize("victim", [pid_of, keeper_of], ids=["gateway", "keeper"])
def test_killed_gateway_is_restarted_behind_the_same_url(
    victim: Callable[[UnitStatus], int],
) -> None:
    async def scenario(supervisor: Supervisor) -> None:
        before = supervisor.gateway
        os.kill(victim(before), signal.SIGKILL)
        await until(lambda: not is_alive(pid_of(before)))  # or it might answer just before its end
        # Nobody is refused meanwhile: the connection waits in the backlog.
        assert (await fetch(supervisor.url, "GET", "/health", timeout=DEADLINE_S)).status == 200
        await until(lambda: supervisor.gateway.state == "ready")

        assert supervisor.gateway.incarnation == before.incarnation + 1

    deploy(scenario)


def test_gateway_is_never_given_up() -> None:
    async def scenario(supervisor: Supervisor) -> None:
        before = supervisor.gateway
        os.kill(pid_of(before), signal.SIGKILL)
        await until(lambda: supervisor.gateway.incarnation > before.incarnation)
        await until(lambda: supervisor.gateway.state == "ready")

    deploy(scenario, supervisor__max_failures="1")


def test_gateway_that_never_starts_is_an_error_of_the_start() -> None:
    async def run() -> None:
        plan = deployment(supervisor__max_failures="2")
        broken = (sys.executable, "-S", "-c", "raise SystemExit(1)")
        async with running(plan, gateway_argv=broken) as supervisor:
            with pytest.raises(ReplicaExited, match=r"the gateway .* exited with code 1"):
                await supervisor.wait_ready(DEADLINE_S)

    asyncio.run(run())


def test_engine_ignoring_sigterm_is_killed_after_grace() -> None:
    pids: list[int] = []

    async def scenario(supervisor: Supervisor) -> None:
        pids.extend(pid_of(replica) for replica in supervisor.replicas)

    deploy(scenario, FakeEngine("--ignore-sigterm"), supervisor__stop_grace="100ms")

    assert [is_alive(pid) for pid in pids] == [False, False]


def test_restart_of_all_keeps_one_replica_ready() -> None:
    async def scenario(supervisor: Supervisor) -> None:
        before = supervisor.replicas
        restart = asyncio.create_task(supervisor.restart())
        while not restart.done():
            assert "ready" in states(supervisor)
            await asyncio.sleep(0)
        await restart

        after = supervisor.replicas
        assert [replica.state for replica in after] == ["ready", "ready"]
        assert [replica.endpoint for replica in after] == [replica.endpoint for replica in before]
        assert not {replica.pid for replica in after} & {replica.pid for replica in before}

    deploy(scenario)


def test_two_restarts_at_once_both_happen() -> None:
    async def scenario(supervisor: Supervisor) -> None:
        before = supervisor.replicas[0].incarnation
        await asyncio.gather(supervisor.restart("r0"), supervisor.restart("r0"))

        assert supervisor.replicas[0].incarnation == before + 2
        assert states(supervisor) == ["ready", "ready"]

    deploy(scenario)


def test_restart_of_a_replica_that_is_just_dying_makes_it_ready() -> None:
    async def scenario(supervisor: Supervisor) -> None:
        os.kill(pid_of(supervisor.replicas[0]), signal.SIGKILL)
        await supervisor.restart("r0")

        assert states(supervisor) == ["ready", "ready"]

    deploy(scenario)


def test_stop_during_a_restart_ends_both() -> None:
    async def scenario(supervisor: Supervisor) -> None:
        restart = asyncio.create_task(supervisor.restart())
        await until(lambda: "draining" in states(supervisor))
        await supervisor.stop()

        with pytest.raises(DeploymentError, match="was stopped during its restart"):
            await restart

    # Engines that do not stop at once, so that the restart is seen while it lasts.
    deploy(scenario, FakeEngine("--ignore-sigterm"), supervisor__stop_grace="1s")


def test_replica_that_ends_while_the_gateway_stops_is_not_restarted() -> None:
    supervisors: list[Supervisor] = []

    def hold_the_gateway_until_r0_has_ended(unit: UnitStatus) -> None:
        if unit.name == "gateway" and unit.state == "draining":
            os.kill(pid_of(unit), signal.SIGSTOP)
            os.kill(pid_of(supervisors[0].replicas[0]), signal.SIGKILL)
        elif unit.name == "r0" and unit.state == "stopped":
            os.kill(pid_of(supervisors[0].gateway), signal.SIGCONT)

    async def run() -> None:
        async with running(deployment(), events=hold_the_gateway_until_r0_has_ended) as supervisor:
            supervisors.append(supervisor)
            await supervisor.wait_ready(DEADLINE_S)

    asyncio.run(run())
    record = read_record(folder())
    assert record is not None
    assert record.unit("r0").incarnation == 1


def test_control_socket_is_gone_before_the_next_up_can_have_the_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there: list[bool] = []

    async def run() -> None:
        plan = deployment()
        with Claims(state_root()) as claims:
            claimed = claim(plan, claims)
        let_go = claimed.close

        def look_and_let_go() -> None:
            there.append((claimed.path / "control.sock").exists())
            let_go()

        monkeypatch.setattr(claimed, "close", look_and_let_go)
        async with running(plan, folder=claimed):
            pass

    asyncio.run(run())
    assert there == [False]


def test_restart_of_an_unknown_replica_names_the_known() -> None:
    async def scenario(supervisor: Supervisor) -> None:
        with pytest.raises(DeploymentError, match=r'no replica "r7".* \(valid: gateway, r0, r1\)'):
            await supervisor.restart("r7")

    deploy(scenario)


def test_engine_that_keeps_exiting_is_a_crash_loop_with_its_last_lines() -> None:
    async def run() -> None:
        plan = deployment(FakeEngine("--exit=1"), supervisor__max_failures="3")
        async with running(plan) as supervisor:
            with pytest.raises(ReplicaExited) as caught:
                await supervisor.wait_ready(DEADLINE_S)

            assert "exited with code 1 before it was ready" in caught.value.message
            assert "  | RuntimeError: no such luck" in caught.value.message
            assert "crash_loop" in states(supervisor)
            assert max(replica.incarnation for replica in supervisor.replicas) == 3

    asyncio.run(run())


def test_engine_that_refuses_its_arguments_is_not_retried() -> None:
    async def run() -> None:
        async with running(deployment(FakeEngine("--exit=2"), replicas=1)) as supervisor:
            with pytest.raises(ReplicaExited, match="exited with code 2"):
                await supervisor.wait_ready(DEADLINE_S)

            assert states(supervisor) == ["failed"]
            assert supervisor.replicas[0].incarnation == 1

    asyncio.run(run())


def test_engine_that_serves_something_else_is_stopped_and_not_retried() -> None:
    async def run() -> None:
        async with running(deployment(FakeEngine(refuse=True), replicas=1)) as supervisor:
            with pytest.raises(ReplicaStartError, match="r0 serves another model"):
                await supervisor.wait_ready(DEADLINE_S)

            assert states(supervisor) == ["failed"]
            assert supervisor.replicas[0].pid is None

    asyncio.run(run())


def test_engine_that_is_not_installed_is_not_retried() -> None:
    async def run() -> None:
        engine = FakeEngine(program="/no/such/python")
        async with running(deployment(engine, replicas=1)) as supervisor:
            with pytest.raises(ReplicaStartError, match="/no/such/python cannot be run"):
                await supervisor.wait_ready(DEADLINE_S)

    asyncio.run(run())


def test_engine_that_never_gets_ready_is_stopped_at_the_start_timeout() -> None:
    async def run() -> None:
        plan = deployment(
            FakeEngine("--silent"),
            replicas=1,
            supervisor__start_timeout="300ms",
            supervisor__max_failures="1",
        )
        async with running(plan) as supervisor:
            with pytest.raises(ReplicaExited, match="was not ready within 300ms"):
                await supervisor.wait_ready(DEADLINE_S)

    asyncio.run(run())


def test_wait_that_is_too_short_names_what_is_not_ready() -> None:
    async def run() -> None:
        async with running(deployment(FakeEngine("--silent"), replicas=1)) as supervisor:
            with pytest.raises(DeploymentError, match="r0 not ready within"):
                await supervisor.wait_ready(0.01)

    asyncio.run(run())


def test_taken_port_is_refused_before_anything_starts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        with pytest.raises(
            ConfigError, match=rf"gateway.port: {port} is in use by .*pid"
        ) as caught:
            deploy(nothing, gateway__port=str(port))

    assert "--port 0" in (caught.value.hint or "")
    assert list(folder().glob("logs/*")) == []


def test_port_of_another_deployment_is_refused_with_its_name() -> None:
    async def scenario(supervisor: Supervisor) -> None:
        port = supervisor.url.rpartition(":")[2]
        with pytest.raises(ConfigError, match=f'{port} is in use by the deployment "test"'):
            async with running(deployment(name="other", gateway__port=port)):
                pass

    deploy(scenario)


async def nothing(supervisor: Supervisor) -> None:
    pass


def test_second_up_of_the_same_name_is_refused() -> None:
    async def scenario(supervisor: Supervisor) -> None:
        with pytest.raises(DeploymentError, match=f'"test" is running already, pid {os.getpid()}'):
            async with running(deployment()):
                pass
        assert states(supervisor) == ["ready", "ready"]

    deploy(scenario)


def test_next_up_has_the_same_ports_and_goes_on_counting() -> None:
    seen: list[UnitStatus] = []

    async def scenario(supervisor: Supervisor) -> None:
        seen.append(supervisor.replicas[0])

    deploy(scenario)
    deploy(scenario)

    first, second = seen
    assert second.endpoint == first.endpoint
    assert second.incarnation == first.incarnation + 1
    assert [path.name for path in log_files(folder(), "r0")] == ["r0.1.log", "r0.2.log"]


def test_events_tell_the_life_of_a_replica() -> None:
    events: list[UnitStatus] = []

    async def run() -> None:
        async with running(deployment(replicas=1), events=events.append) as supervisor:
            await supervisor.wait_ready(DEADLINE_S)

    asyncio.run(run())
    told = list(dict.fromkeys(event.state for event in events if event.name == "r0"))

    assert told == ["starting", "ready", "draining", "stopped"]


def test_bug_in_a_callback_ends_the_deployment_with_its_exception() -> None:
    def fail(status: UnitStatus) -> None:
        if status.state == "ready":
            raise ZeroDivisionError

    async def run() -> None:
        async with running(deployment(replicas=1), events=fail) as supervisor:
            await supervisor.wait_ready(DEADLINE_S)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(run())


def test_health_of_a_busy_engine_is_told_and_nothing_else_happens() -> None:
    async def scenario(supervisor: Supervisor) -> None:
        await until(lambda: supervisor.replicas[0].health == "ok")
        before = supervisor.replicas[0]
        os.kill(pid_of(before), signal.SIGSTOP)
        await until(lambda: "did not answer" in str(supervisor.replicas[0].health))
        os.kill(pid_of(before), signal.SIGCONT)
        await until(lambda: supervisor.replicas[0].health == "ok")

        assert supervisor.replicas[0].pid == before.pid

    deploy(scenario)


def test_state_folder_with_a_long_path_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPLICORE_STATE_DIR", str(tmp_path / ("long" * 50)))

    deploy(nothing)
