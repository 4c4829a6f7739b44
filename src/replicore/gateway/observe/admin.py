"""The admin API: metrics, replicas, why a request went where it did, and draining.

It is served on a Unix socket and, where asked for, on a loopback port, never on the public one.
A web page can make its visitor's browser send requests to loopback, and with a host name that it
controls (DNS rebinding) also read the answers. So the ``host`` header must name this machine, and
what changes something must come with a JSON content type, which a page cannot send unasked, and
without an ``origin``, which a browser always sends then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol
from urllib.parse import unquote

import msgspec

from replicore.errors import DeploymentError
from replicore.gateway.observe.exposition import CONTENT_TYPE, exposition, snapshot_of
from replicore.gateway.observe.scraping import Scraper
from replicore.gateway.observe.snapshot import Snapshot, merge
from replicore.gateway.record import Explanation
from replicore.gateway.table import ReplicaRow, ReplicaTable, Stats
from replicore.http.server import Request, Response
from replicore.openai import error_body

logger = logging.getLogger(__name__)

_HOSTS = frozenset({b"localhost", b"127.0.0.1", b"[::1]"})
_REPLICAS = "/admin/replicas"
_REQUESTS = "/admin/requests/"
_DRAINING = {"drain": True, "undrain": False}

_Work = Callable[[], Awaitable[None]]


class Fleet(Protocol):
    """What the admin API shows and changes: all workers of one gateway, and their replicas."""

    def table(self) -> ReplicaTable: ...

    def stats(self) -> Stats | None:
        """Return the counters of all workers; None before their first report."""
        ...

    async def snapshot(self) -> Snapshot:
        """Return the metrics of all workers, ended ones included."""
        ...

    async def explain(self, request_id: str) -> Explanation | None:
        """Return the choices of a request; None if no worker knows it any more."""
        ...

    def drain(self, name: str, drained: bool) -> None:
        """Take a replica out of use, or back in; requests that it has go on.

        Raises:
            DeploymentError: There is no such replica.
        """
        ...


class _Refused(Exception):
    """Raised for a request that is answered with an error; the message is for whoever asked."""

    def __init__(self, status: int, message: str, *, code: str, allow: bytes | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.allow = allow


class Admin:
    """Serves the admin API of a fleet; :meth:`handle` is the handler of its ``HttpServer``.

    Args:
        timeout_s: Longest time in which an answer is made.
        most_at_once: Answers being made; each holds a page of metrics at most.
    """

    def __init__(
        self,
        fleet: Fleet,
        *,
        scraper: Scraper | None = None,
        timeout_s: float = 5.0,
        most_at_once: int = 32,
    ) -> None:
        self._fleet = fleet
        self._timeout_s = timeout_s
        self._most_at_once = most_at_once
        self._scraper = scraper or Scraper()
        self._tasks: set[asyncio.Task[None]] = set()

    def handle(self, request: Request, response: Response) -> None:
        """Answer one request, now or once all who know something have answered."""
        try:
            _check_host(request)
            if request.method == "POST":
                _check_sender(request)
                self._change(request, response)
            elif request.method in ("GET", "HEAD"):
                self._show(request.path, response)
            else:
                raise _no_such_method(request, b"GET, HEAD, POST")
        except _Refused as refused:
            _refuse(response, refused)

    async def close(self) -> None:
        """Cancel the answers that are being made, once the servers are closed."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._scraper.close()

    def _show(self, path: str, response: Response) -> None:
        if path == "/metrics":
            self._start(lambda: self._send_metrics(response), response)
        elif path == "/healthz":
            response.send(200, msgspec.json.encode(self._health()))
        elif path == _REPLICAS:
            response.send(200, msgspec.json.encode(self._replicas()))
        elif path.startswith(_REQUESTS) and path != _REQUESTS:
            request_id = unquote(path.removeprefix(_REQUESTS))
            self._start(lambda: self._send_explanation(request_id, response), response)
        else:
            raise _Refused(404, f"there is no GET {path}", code="not_found")

    def _change(self, request: Request, response: Response) -> None:
        name, _, verb = request.path.removeprefix(f"{_REPLICAS}/").partition("/")
        if not request.path.startswith(f"{_REPLICAS}/") or verb not in _DRAINING:
            raise _Refused(404, f"there is no POST {request.path}", code="not_found")
        name = unquote(name)
        try:
            self._fleet.drain(name, _DRAINING[verb])
        except DeploymentError as error:
            raise _Refused(404, error.message, code="replica_not_found") from error
        rows = [row for row in self._replicas()["replicas"] if row["name"] == name]
        response.send(200, msgspec.json.encode(rows[0]))

    def _health(self) -> dict[str, int]:
        replicas = self._fleet.table().replicas
        ready = sum(row.state == "ready" for row in replicas)
        return {"ready": ready, "replicas": len(replicas)}

    def _replicas(self) -> dict[str, Any]:
        table, stats = self._fleet.table(), self._fleet.stats()
        return {
            "model": table.model,
            "queued": stats.queued if stats else 0,
            "replicas": [_row(row, stats) for row in table.replicas],
        }

    async def _send_metrics(self, response: Response) -> None:
        table = self._fleet.table()
        page = await self._scraper.page(table.replicas)
        counted = (await self._fleet.snapshot(), self._scraper.snapshot())
        own = exposition(merge([*counted, snapshot_of(table, self._fleet.stats())]))
        response.send(200, (own + page).encode(), content_type=CONTENT_TYPE)

    async def _send_explanation(self, request_id: str, response: Response) -> None:
        explanation = await self._fleet.explain(request_id)
        if explanation is None:
            message = f'no request "{request_id}" is remembered; only the latest ones are'
            raise _Refused(404, message, code="request_not_found")
        response.send(200, msgspec.json.encode(explanation))

    def _start(self, work: _Work, response: Response) -> None:
        """Do the work in a task, which ends when the client leaves."""
        if len(self._tasks) >= self._most_at_once:
            message = f"{self._most_at_once} requests are being answered already"
            raise _Refused(503, message, code="overloaded")
        task = asyncio.get_running_loop().create_task(self._finish(work, response))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        response.on_disconnect = lambda: _cancel(task)

    async def _finish(self, work: _Work, response: Response) -> None:
        """Answer in time, whatever happens."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await work()
        except _Refused as refused:
            _refuse(response, refused)
        except TimeoutError:
            message = f"the gateway did not answer within {self._timeout_s:g} s"
            _refuse(response, _Refused(503, message, code="timeout"))
        except Exception:
            logger.exception("an admin request failed")
            response.send(500, error_body("internal error", type="internal_error"))


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()


def _check_host(request: Request) -> None:
    """Refuse what was sent to a name that is not this machine's own."""
    host = request.headers.get(b"host", b"").lower()
    if _without_port(host) not in _HOSTS:
        message = f'host "{host.decode("latin-1")}" is not this machine; localhost works'
        raise _Refused(403, message, code="host_not_allowed")


def _check_sender(request: Request) -> None:
    """Refuse a change that a web page may have made a browser ask for."""
    if b"origin" in request.headers:
        raise _Refused(403, "requests of web pages are not taken", code="origin_not_allowed")
    content_type = request.headers.get(b"content-type", b"").partition(b";")[0]
    if content_type.strip().lower() != b"application/json":
        message = "content-type must be application/json; the body may be {}"
        raise _Refused(415, message, code="unsupported_content_type")


def _without_port(host: bytes) -> bytes:
    name, colon, port = host.rpartition(b":")
    return name if colon and port.isdigit() else host


def _no_such_method(request: Request, allow: bytes) -> _Refused:
    message = f"{request.path} does not take {request.method}"
    return _Refused(405, message, code="method_not_allowed", allow=allow)


def _refuse(response: Response, refused: _Refused) -> None:
    headers = [(b"allow", refused.allow)] if refused.allow else []
    response.send(refused.status, error_body(str(refused), code=refused.code), headers=headers)


def _row(row: ReplicaRow, stats: Stats | None) -> dict[str, Any]:
    """Return all that is known of a replica: its row of the table, then its counters."""
    known = stats.replicas.get(row.name) if stats else None
    counters = msgspec.to_builtins(known) if known is not None else {}
    return {**msgspec.to_builtins(row), **counters}
