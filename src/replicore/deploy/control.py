"""The control socket: how ``status``, ``restart``, ``drain`` and ``down`` reach a supervisor.

One JSON object a line. A request is ``{"op": "status"}``, or another of the ops in
:meth:`ControlServer._grant`, with ``"replica"`` for a restart of one, and for ``drain`` and
``undrain``; an error reply is ``{"error": ..., "hint": ...}``. With ``"wait": true`` ``drain`` is
answered once the replica has nothing left to do. ``down`` is answered at once, and the connection
ends when the deployment has.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from replicore.deploy.state import Claims
from replicore.deploy.status import Status
from replicore.errors import DeploymentError, ReplicoreError
from replicore.unix_socket import connect_unix, listen_unix

SOCKET_NAME = "control.sock"

_ANSWER_TIMEOUT_S = 10.0

T = TypeVar("T")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A client's line."""

    op: str
    replica: str | None = None
    wait: bool = False


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """The reply to a request that could not be granted."""

    error: str
    hint: str | None = None


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """The reply to a request that was granted, with nothing else to tell."""

    done: bool


class Deployment(Protocol):
    """What a control server serves."""

    def status(self) -> Status: ...

    async def restart(self, replica: str | None) -> None:
        """Restart one replica, or all of them; return when they are ready again."""
        ...

    def ask_to_stop(self) -> None:
        """Make the deployment stop soon."""
        ...

    def drain(self, replica: str, drained: bool) -> None:
        """Send no new requests to a replica, or send them again."""
        ...

    async def wait_drained(self, replica: str) -> None:
        """Return once a drained replica has nothing left to do."""
        ...


class ControlServer:
    """Serves one deployment's control socket."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()
        self._folder: Path | None = None

    async def open(self, folder: Path) -> None:
        """Listen in ``folder``, which this process holds the lock of."""
        self._folder = folder
        listener = listen_unix(folder / SOCKET_NAME)
        self._server = await asyncio.start_unix_server(self._serve, sock=listener)

    def withdraw(self) -> None:
        """Take the socket away; without the folder's lock it might be the next ``up``'s."""
        if self._folder is not None:
            (self._folder / SOCKET_NAME).unlink(missing_ok=True)

    def close(self) -> None:
        """End all connections, which tells ``down`` that it is done."""
        if self._server is None:
            return
        self._server.close()
        for connection in self._connections:
            connection.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            # The other end may be killed at any moment, also in the middle of a line.
            with suppress(ConnectionError, ValueError):
                async for line in reader:
                    await self._answer(line, writer)
                    await writer.drain()
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _answer(self, line: bytes, writer: asyncio.StreamWriter) -> None:
        try:
            reply = await self._grant(msgspec.json.decode(line, type=Request))
        except msgspec.MsgspecError as error:
            reply = Failure(error=f"not a message that is understood here: {error}")
        except ReplicoreError as error:
            reply = Failure(error=error.message, hint=error.hint)
        writer.write(_line(reply))

    async def _grant(self, request: Request) -> msgspec.Struct:
        match request:
            case Request(op="status"):
                return self._deployment.status()
            case Request(op="restart"):
                await self._deployment.restart(request.replica)
            case Request(op="drain", replica=str(replica)):
                self._deployment.drain(replica, True)
                if request.wait:
                    await self._deployment.wait_drained(replica)
            case Request(op="undrain", replica=str(replica)):
                self._deployment.drain(replica, False)
            case Request(op="drain" | "undrain"):
                return Failure(error=f'op "{request.op}" needs a "replica"')
            case Request(op="down"):
                self._deployment.ask_to_stop()
            case _:
                valid = "status, restart, drain, undrain, down"
                return Failure(error=f'unknown op "{request.op}" (valid: {valid})')
        return Done(done=True)


def connect(folder: Path) -> socket.socket:
    """Return a connection to the supervisor of a state folder.

    Raises:
        DeploymentError: None runs there.
    """
    try:
        return connect_unix(folder / SOCKET_NAME)
    except OSError:
        raise DeploymentError(
            f'the deployment "{folder.name}" is not running', hint="`replicore up` starts one"
        ) from None


def status(folder: Path) -> Status:
    """Return what the supervisor knows.

    Raises:
        DeploymentError: It is not running, or does not answer.
    """
    with connect(folder) as connection:
        return _ask(connection, Request(op="status"), Status, timeout=_ANSWER_TIMEOUT_S)


def restart(folder: Path, replica: str | None) -> None:
    """Restart one replica, or all of them one by one; return when they are ready again.

    How long that takes is the engines' matter, so there is no limit here; the supervisor has one.

    Raises:
        DeploymentError: It is not running, there is no such replica, or it did not become ready.
    """
    with connect(folder) as connection:
        _ask(connection, Request(op="restart", replica=replica), Done, timeout=None)


def drain(folder: Path, replica: str, *, wait: bool) -> None:
    """Send no new requests to a replica; with ``wait`` return when it has nothing left to do.

    Raises:
        DeploymentError: It is not running, or there is no such replica.
    """
    request = Request(op="drain", replica=replica, wait=wait)
    with connect(folder) as connection:
        _ask(connection, request, Done, timeout=None if wait else _ANSWER_TIMEOUT_S)


def undrain(folder: Path, replica: str) -> None:
    """Send requests to a drained replica again.

    Raises:
        DeploymentError: It is not running, or there is no such replica.
    """
    with connect(folder) as connection:
        _ask(connection, Request(op="undrain", replica=replica), Done, timeout=_ANSWER_TIMEOUT_S)


def down(folder: Path, *, timeout: float | None = None) -> None:
    """Stop the deployment; return when nothing of it runs any more.

    Raises:
        DeploymentError: It is not running, or has not stopped after ``timeout`` seconds.
    """
    with connect(folder) as connection:
        _ask(connection, Request(op="down"), Done, timeout=_ANSWER_TIMEOUT_S)
        connection.settimeout(timeout)
        try:
            while connection.recv(1):
                pass
        except TimeoutError:
            raise DeploymentError(
                f'the deployment "{folder.name}" has not stopped within {timeout:g} s'
            ) from None
        except ConnectionError:
            return


def find(root: Path, name: str | None) -> Path:
    """Return the folder of a running deployment; ``name`` may be None while there is only one.

    Raises:
        DeploymentError: None runs, or it is not clear which one is meant.
    """
    with Claims(root) as claims:
        running = claims.running()
    names = ", ".join(neighbour.name for neighbour in running)
    if not running:
        which = f'the deployment "{name}" is not running' if name else "no deployment is running"
        raise DeploymentError(which, hint="`replicore up` starts one")
    if name is None and len(running) > 1:
        raise DeploymentError(f"several deployments are running; name one of them: {names}")
    for neighbour in running:
        if name in (None, neighbour.name):
            return neighbour.path
    raise DeploymentError(f'the deployment "{name}" is not running; these are: {names}')


def _ask(
    connection: socket.socket, request: Request, answer: type[T], *, timeout: float | None
) -> T:
    connection.settimeout(timeout)
    try:
        connection.sendall(_line(request))
        with connection.makefile("rb") as file:
            line = file.readline()
    except OSError as error:
        raise DeploymentError(f"the supervisor does not answer ({error})") from None
    if not line:
        raise DeploymentError("the supervisor ended before it answered")
    reply = msgspec.json.decode(line)
    if "error" in reply:
        raise DeploymentError(reply["error"], hint=reply.get("hint"))
    return msgspec.convert(reply, answer)


def _line(message: msgspec.Struct) -> bytes:
    return msgspec.json.encode(message) + b"\n"
