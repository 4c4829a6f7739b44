"""The control socket, spoken to line by line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from replicore.deploy.control import ControlServer, connect
from replicore.deploy.status import LayoutStatus, Status, UnitStatus
from replicore.errors import DeploymentError
from tests.integration.deploy.deployments import until

GATEWAY = UnitStatus(name="gateway", state="ready", state_s=1, cores="", endpoint="", incarnation=1)


class FakeDeployment:
    def __init__(self) -> None:
        self.restarted: list[str | None] = []
        self.drained: set[str] = set()
        self.is_idle = asyncio.Event()
        self.stop_asked = False

    def status(self) -> Status:
        return Status(
            name="test",
            url="http://127.0.0.1:1",
            pid=1,
            uptime_s=1,
            ready=True,
            model="m",
            engine="fake",
            simulated=True,
            layout=LayoutStatus(replicas=1, tp=1, batch_size=1, max_model_len=1, reason=""),
            replicas=(),
            gateways=(GATEWAY,),
        )

    async def restart(self, replica: str | None) -> None:
        if replica == "bad":
            raise DeploymentError("no such replica", hint="another")
        self.restarted.append(replica)

    def ask_to_stop(self) -> None:
        self.stop_asked = True

    def drain(self, replica: str, drained: bool) -> None:
        if drained:
            self.drained.add(replica)
        else:
            self.drained.discard(replica)

    async def wait_drained(self, replica: str) -> None:
        await self.is_idle.wait()


class Client:
    """One connection to the server under test."""

    def __init__(
        self, server: ControlServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.server = server
        self.writer = writer
        self._reader = reader

    async def ask(self, line: str) -> dict[str, object]:
        self.writer.write(line.encode() + b"\n")
        return await self.read()

    async def read(self) -> dict[str, object]:
        reply: dict[str, object] = json.loads(await self._reader.readline())
        return reply


Scenario = Callable[[Client, FakeDeployment], Awaitable[None]]


def converse(folder: Path, scenario: Scenario) -> None:
    async def run() -> None:
        deployment = FakeDeployment()
        server = ControlServer(deployment)
        await server.open(folder)
        reader, writer = await asyncio.open_unix_connection(sock=connect(folder))
        try:
            async with asyncio.timeout(5):
                await scenario(Client(server, reader, writer), deployment)
        finally:
            writer.close()
            await writer.wait_closed()
            server.withdraw()
            server.close()
            await asyncio.sleep(0)

    asyncio.run(run())


def test_status_is_one_line(tmp_path: Path) -> None:
    async def scenario(client: Client, deployment: FakeDeployment) -> None:
        assert (await client.ask('{"op":"status"}'))["ready"] is True

    converse(tmp_path, scenario)


def test_several_requests_go_over_one_connection(tmp_path: Path) -> None:
    async def scenario(client: Client, deployment: FakeDeployment) -> None:
        assert await client.ask('{"op":"restart","replica":"r1"}') == {"done": True}
        assert await client.ask('{"op":"restart"}') == {"done": True}
        assert deployment.restarted == ["r1", None]

    converse(tmp_path, scenario)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("nonsense", "not a message"),
        ("{}", "missing required field `op`"),
        ('{"op":"explode"}', 'unknown op "explode" (valid: status, restart, drain, undrain, down)'),
        ('{"op":"drain"}', 'op "drain" needs a "replica"'),
        ('{"op":"restart","replica":"bad"}', "no such replica"),
    ],
)
def test_request_that_is_not_granted_is_answered_with_the_reason(
    tmp_path: Path, line: str, expected: str
) -> None:
    async def scenario(client: Client, deployment: FakeDeployment) -> None:
        assert expected in str((await client.ask(line))["error"])
        assert (await client.ask('{"op":"status"}'))["name"] == "test"

    converse(tmp_path, scenario)


def test_down_is_answered_and_asks_for_the_end(tmp_path: Path) -> None:
    async def scenario(client: Client, deployment: FakeDeployment) -> None:
        assert await client.ask('{"op":"down"}') == {"done": True}
        assert deployment.stop_asked

    converse(tmp_path, scenario)


def test_drain_is_answered_at_once_unless_it_is_to_be_waited_for(tmp_path: Path) -> None:
    async def scenario(client: Client, deployment: FakeDeployment) -> None:
        assert await client.ask('{"op":"drain","replica":"r0"}') == {"done": True}
        assert deployment.drained == {"r0"}

        waiting = asyncio.create_task(client.ask('{"op":"drain","replica":"r1","wait":true}'))
        await until(lambda: "r1" in deployment.drained)
        assert not waiting.done()
        deployment.is_idle.set()
        assert await waiting == {"done": True}

    converse(tmp_path, scenario)


def test_undrain_takes_a_drain_back(tmp_path: Path) -> None:
    async def scenario(client: Client, deployment: FakeDeployment) -> None:
        await client.ask('{"op":"drain","replica":"r0"}')
        await client.ask('{"op":"undrain","replica":"r0"}')
        assert deployment.drained == set()

    converse(tmp_path, scenario)


def test_folder_without_a_supervisor_is_not_running(tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match="is not running"):
        connect(tmp_path)


def test_socket_of_a_killed_supervisor_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "control.sock").touch()

    async def scenario(client: Client, deployment: FakeDeployment) -> None:
        assert (await client.ask('{"op":"status"}'))["name"] == "test"

    converse(tmp_path, scenario)
    assert list(tmp_path.iterdir()) == []
