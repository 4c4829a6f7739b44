"""The front door's request handler: routes, the replica table, and the queue for a free slot."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from typing import Any
from urllib.parse import unquote

import msgspec

from replicore.errors import ConfigError
from replicore.gateway.admission import Queue, QueueFull
from replicore.gateway.proxy import ProxiedRequest
from replicore.gateway.routing import POLICIES
from replicore.gateway.table import ReplicaStats, ReplicaTable, Settings, Stats
from replicore.gateway.upstream import Upstream
from replicore.gateway.wire import BadBody, Facts, read_facts
from replicore.http.server import Limits, Request, Response
from replicore.openai import error_body

# Replicas in these states will serve again by themselves; requests wait for them.
_COMING = frozenset({"stopped", "starting", "ready", "draining", "backoff"})

_PASSED_ON = frozenset({"/tokenize", "/detokenize"})
_MODELS = "/v1/models"
_HEALTH = frozenset({"/health", "/healthz"})
_KNOWN = (
    _HEALTH
    | _PASSED_ON
    | {_MODELS, "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses"}
)

_LONGEST_REQUEST_ID = 128


class Gateway:
    """Serves the OpenAI API over the replicas of a table.

    :meth:`handle` is the handler of an ``HttpServer``; :meth:`apply` takes every new table.
    """

    def __init__(self, settings: Settings) -> None:
        policy = POLICIES.get(settings.policy)
        if policy is None:
            valid = ", ".join(POLICIES)
            raise ConfigError(
                f'gateway.policy: unknown policy "{settings.policy}" (valid: {valid})'
            )
        self._policy = policy
        self._settings = settings
        self._table = ReplicaTable(model="")
        self._upstreams: dict[str, Upstream] = {}
        self._queue: Queue[ProxiedRequest] = Queue(settings.max_queue)
        self._turn = 0
        self._requests = 0
        self._errors = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def limits(self) -> Limits:
        return Limits(
            body_bytes=self._settings.max_body,
            header_timeout=self._settings.header_timeout,
            idle_timeout=self._settings.idle_timeout,
        )

    def apply(self, table: ReplicaTable) -> None:
        """Take a new table: connect to new incarnations, let go of old ones."""
        self._table = table
        old, self._upstreams = self._upstreams, {}
        for row in table.replicas:
            known = old.pop(row.name, None)
            if known is not None and known.is_same(row):
                known.update(row)
                self._upstreams[row.name] = known
                continue
            requests, errors = 0, 0
            if known is not None:
                requests, errors = known.account.requests, known.account.errors
                self._retire(known)
            self._upstreams[row.name] = Upstream(row, requests=requests, errors=errors)
        for gone in old.values():
            self._retire(gone)
        self.freed()
        if not self._has_hope:
            for waiting in self._queue.entries():
                self.leave(waiting)
                self.seek(waiting)

    def handle(self, request: Request, response: Response) -> None:
        """Serve one request."""
        self._requests += 1
        request_id = _request_id(request)
        if request.method == "POST" and _is_passed_on(request.path):
            self._pass_on(request, response, request_id)
        elif request.method in ("GET", "HEAD"):
            self._answer(request, response, request_id)
        else:
            self._refuse_route(request, response, request_id)

    def stats(self) -> Stats:
        """Return the counters; at idle ``outstanding`` and ``queued`` are exactly 0."""
        replicas = {name: one.account.stats() for name, one in self._upstreams.items()}
        return Stats(
            outstanding=sum(one.outstanding for one in replicas.values()),
            queued=len(self._queue),
            requests=self._requests,
            errors=self._errors + sum(one.errors for one in replicas.values()),
            revision=self._table.revision,
            replicas=dict[str, ReplicaStats](replicas),
        )

    async def close(self) -> None:
        """Close every connection to the replicas."""
        for upstream in self._upstreams.values():
            self._retire(upstream)
        while self._tasks:
            await asyncio.wait(self._tasks)

    # Dispatcher

    def seek(self, waiting: ProxiedRequest) -> None:
        """Send to a replica with room; wait in the queue for one; refuse if none can come."""
        upstream = self._choose(waiting)
        if upstream is not None:
            waiting.send_to(upstream)
        elif self._has_hope:
            self._let_wait(waiting)
        else:
            self._give_up(waiting, "no replica can serve requests", code="no_ready_replica")

    def leave(self, waiting: ProxiedRequest) -> None:
        """Take a request out of the queue, if it waits there."""
        self._queue.remove(waiting)
        if waiting.timer is not None:
            waiting.timer.cancel()
            waiting.timer = None

    def freed(self) -> None:
        """Give free slots to those who wait, the longest first."""
        for waiting in self._queue.entries():
            if not any(one.account.has_room for one in self._upstreams.values()):
                return
            upstream = self._choose(waiting)
            if upstream is not None:
                self.leave(waiting)
                waiting.send_to(upstream)

    # inside

    def _choose(self, waiting: ProxiedRequest) -> Upstream | None:
        able = [
            one
            for one in self._upstreams.values()
            if one.account.has_room and one.key not in waiting.failed
        ]
        if not able:
            return None
        self._turn += 1
        return able[self._policy([one.account for one in able], self._turn)]

    def _let_wait(self, waiting: ProxiedRequest) -> None:
        try:
            self._queue.push(waiting)
        except QueueFull:
            self._errors += 1
            waiting.refuse(
                429,
                f"{self._queue.limit} requests are waiting already",
                type="rate_limit_error",
                code="queue_full",
            )
            return
        loop = asyncio.get_running_loop()
        waiting.timer = loop.call_later(self._settings.queue_timeout, self._time_out, waiting)

    def _time_out(self, waiting: ProxiedRequest) -> None:
        self._queue.remove(waiting)
        message = f"no replica had room within {self._settings.queue_timeout:g} s"
        self._give_up(waiting, message, code="queue_timeout")

    @property
    def _has_hope(self) -> bool:
        """Whether a replica serves, or will by itself: one that just died is started again."""
        return any(one.row.state in _COMING for one in self._upstreams.values())

    def _give_up(self, waiting: ProxiedRequest, message: str, *, code: str) -> None:
        self._errors += 1
        if waiting.last_error is None:
            waiting.refuse(503, message, code=code)
        else:
            message = f"every replica failed this request; the last: {waiting.last_error.message}"
            waiting.refuse(502, message, type="upstream_error")

    def _retire(self, upstream: Upstream) -> None:
        upstream.account.ready = False
        self._keep(upstream.pool.close())

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _pass_on(self, request: Request, response: Response, request_id: bytes) -> None:
        facts = Facts()
        if not request.headers.get(b"content-type", b"").startswith(b"multipart/"):
            try:
                facts = read_facts(request.body)
            except BadBody as error:
                _refuse(response, 400, str(error), request_id)
                return
        if facts.model is not None and self._table.model and facts.model != self._table.model:
            self._refuse_model(response, facts.model, request_id)
            return
        proxied = ProxiedRequest(
            self, request, response, request_id=request_id, stream=facts.stream is True
        )
        proxied.start()

    def _answer(self, request: Request, response: Response, request_id: bytes) -> None:
        headers = [(b"x-request-id", request_id)]
        if request.path in _HEALTH:
            ready = sum(one.account.ready for one in self._upstreams.values())
            body = msgspec.json.encode({"ready": ready, "replicas": len(self._upstreams)})
            response.send(200 if ready else 503, body, headers=headers)
        elif request.path == _MODELS:
            models = {"object": "list", "data": [self._model_card()]}
            response.send(200, msgspec.json.encode(models), headers=headers)
        elif request.path.startswith(_MODELS + "/"):
            model = unquote(request.path.removeprefix(_MODELS + "/"))
            if model == self._table.model:
                response.send(200, msgspec.json.encode(self._model_card()), headers=headers)
            else:
                self._refuse_model(response, model, request_id)
        else:
            self._refuse_route(request, response, request_id)

    def _model_card(self) -> dict[str, Any]:
        card = {"id": self._table.model, "object": "model", "created": 0, "owned_by": "replicore"}
        if self._table.max_model_len is not None:
            card["max_model_len"] = self._table.max_model_len
        if self._table.simulated:
            card["simulated"] = True
        return card

    def _refuse_model(self, response: Response, model: str, request_id: bytes) -> None:
        message = f'the model "{model}" does not exist; this endpoint serves "{self._table.model}"'
        _refuse(response, 404, message, request_id, code="model_not_found", param="model")

    def _refuse_route(self, request: Request, response: Response, request_id: bytes) -> None:
        if request.path in _KNOWN:
            message = f"{request.path} does not take {request.method}"
            allowed = b"GET, HEAD" if request.path in _HEALTH | {_MODELS} else b"POST"
            _refuse(response, 405, message, request_id, code="method_not_allowed", allow=allowed)
        else:
            message = f"there is no {request.method} {request.path}"
            _refuse(response, 404, message, request_id, code="not_found")


def _is_passed_on(path: str) -> bool:
    return path.startswith("/v1/") or path in _PASSED_ON


def _request_id(request: Request) -> bytes:
    """Return the client's own id, as long as it is short, or a new one."""
    given = request.headers.get(b"x-request-id")
    if given and len(given) <= _LONGEST_REQUEST_ID:
        return given
    return os.urandom(16).hex().encode()


def _refuse(
    response: Response,
    status: int,
    message: str,
    request_id: bytes,
    *,
    code: str | None = None,
    param: str | None = None,
    allow: bytes | None = None,
) -> None:
    body = error_body(message, code=code, param=param)
    headers = [(b"x-request-id", request_id)]
    if allow is not None:
        headers.append((b"allow", allow))
    response.send(status, body, headers=headers)
