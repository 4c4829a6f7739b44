"""The front door's request handler: routes, keys, and what requests share."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from random import getrandbits
from typing import Any
from urllib.parse import unquote

import msgspec

from replicore.gateway.access.access_log import AccessLog
from replicore.gateway.access.cors import Cors
from replicore.gateway.access.key_file import Caller
from replicore.gateway.access.keys import ANONYMOUS, KeyRing
from replicore.gateway.access.limits import Limiter
from replicore.gateway.access.refusal import Refusal
from replicore.gateway.dispatch import Dispatcher
from replicore.gateway.facts import BadBody, Facts, read_facts
from replicore.gateway.observe.metrics import Meter
from replicore.gateway.observe.traceparent import child_traceparent, same_trace
from replicore.gateway.observe.tracing import open_tracer
from replicore.gateway.proxy import ProxiedRequest
from replicore.gateway.record import Explanation, Finished, Outcome
from replicore.gateway.replicas import Replicas
from replicore.gateway.routing.budget import RetryBudget
from replicore.gateway.routing.cells import Cells
from replicore.gateway.routing.lengths import OutputLengths
from replicore.gateway.routing.policies import session_hash
from replicore.gateway.routing.prefix import block_hashes, estimate_tokens
from replicore.gateway.table import ReplicaStats, ReplicaTable, Settings, Stats
from replicore.gateway.wire import request_headers
from replicore.http.server import Limits, Request, Response
from replicore.openai import error_body

logger = logging.getLogger(__name__)

# What is asked about tokens rather than for them; the last is llama.cpp's alone.
_PASSED_ON = frozenset({"/tokenize", "/detokenize", "/apply-template"})
_MODELS = "/v1/models"
_HEALTH = frozenset({"/health", "/healthz"})
_KNOWN = (
    _HEALTH
    | _PASSED_ON
    | {_MODELS, "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses"}
)
_ENGINES = _KNOWN - _HEALTH

_LONGEST_REQUEST_ID = 128

# Characters of a wrong model's name that an error repeats.
_LONGEST_MODEL_TOLD = 256

# The longest bodies that a worker holds at once; of shorter ones there may be as many more.
_HELD_BODIES = 16

# How often is looked for hung replicas and changed keys, seconds.
_SWEEP_S = 1.0


def _wake_nobody(_worker: int) -> None:
    """There is no other worker."""


class Gateway:
    """Serves the OpenAI API over the replicas of a table.

    :meth:`handle` is the handler of an ``HttpServer``; :meth:`apply` takes every new table.

    Args:
        cells: The ledger that the workers of one gateway share; None for the only worker.
        wake: Tells another worker that a slot may be free, whereupon it calls :meth:`freed`.

    Raises:
        ConfigError: A file of the settings cannot be used, or there is no such policy.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        cells: Cells | None = None,
        wake: Callable[[int], None] = _wake_nobody,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        self._settings = settings
        self._table = ReplicaTable(model="")
        cells = cells or Cells.local()
        self._lengths = OutputLengths()
        self._limiter = Limiter(cells)
        self._cors = Cors(settings.cors_origins)
        self._keys = KeyRing.read(Path(settings.api_keys_file)) if settings.api_keys_file else None
        self._log = (
            AccessLog.open(Path(settings.access_log), call_later=self._loop.call_later)
            if settings.access_log
            else None
        )
        self._tracer = open_tracer(settings.otlp_endpoint) if settings.otlp_endpoint else None
        self.dispatcher = Dispatcher(settings, cells, wake)
        self.meter = Meter()
        self._replicas = Replicas(settings, cells, self.dispatcher, self.meter, self.spawn)
        self.budget = RetryBudget(self.now())
        self.resume = settings.resume
        self.max_model_len: int | None = None
        self._sessions = settings.policy == "consistent_hash"
        self._requests = 0
        self._errors = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._sweeping = self._loop.call_later(_SWEEP_S, self._sweep)

    @property
    def limits(self) -> Limits:
        return Limits(
            body_bytes=self._settings.max_body,
            held_bytes=_HELD_BODIES * self._settings.max_body,
            header_timeout=self._settings.header_timeout,
            idle_timeout=self._settings.idle_timeout,
        )

    def apply(self, table: ReplicaTable) -> None:
        """Take a new table: connect to new incarnations, let go of old ones."""
        self._table = table
        self.max_model_len = table.max_model_len
        self._replicas.apply(table)

    def handle(self, request: Request, response: Response) -> None:
        """Serve one request."""
        self._requests += 1
        headers = request.headers
        request_id = _request_id(headers.get(b"x-request-id"))
        if self._cors.origins:
            preflight = self._cors.look(request, response)
            if preflight:
                return
        caller = ANONYMOUS
        if self._keys is not None and request.path not in _HEALTH:
            known = self._keys.check(headers.get(b"authorization"))
            if known is None:
                self._refuse_caller(request, response, request_id)
                return
            caller = known
        if request.method == "POST" and _is_passed_on(request.path):
            self._pass_on(request, response, request_id, caller)
        elif request.method in ("GET", "HEAD"):
            self._answer(request, response, request_id)
        else:
            self._refuse_route(request, response, request_id)

    def screen(self, request: Request, response: Response) -> None:
        """Answer a request whose body is yet to come, where its sender has no key."""
        headers = request.headers
        if self._keys is None or request.path in _HEALTH:
            return
        if self._keys.check(headers.get(b"authorization")) is None:
            self._requests += 1
            if not (self._cors.origins and self._cors.look(request, response)):
                self._refuse_caller(request, response, _request_id(headers.get(b"x-request-id")))

    def freed(self) -> None:
        """Look for waiting requests: another worker has freed a slot."""
        self.dispatcher.woken()

    def stats(self) -> Stats:
        """Return the counters; at idle ``outstanding`` and ``queued`` are exactly 0."""
        upstreams = self.dispatcher.upstreams
        replicas: dict[str, ReplicaStats] = {name: one.stats() for name, one in upstreams.items()}
        return Stats(
            outstanding=sum(one.outstanding for one in replicas.values()),
            queued=len(self.dispatcher),
            requests=self._requests,
            errors=self._errors,
            revision=self._table.revision,
            replicas=replicas,
        )

    def explain(self, request_id: str) -> Explanation | None:
        """Return why a request went where it went; None if it is unknown, or was long ago."""
        return self.dispatcher.explain(request_id)

    def reopen_log(self) -> None:
        """Go on in a new file, after the old one was moved away."""
        if self._log is not None:
            self._log.reopen()

    async def close(self) -> None:
        """Close every connection to the replicas."""
        self._sweeping.cancel()
        self._replicas.close()
        while self._tasks:
            await asyncio.wait(self._tasks)
        if self._log is not None:
            self._log.close()
        if self._tracer is not None:
            await asyncio.to_thread(self._tracer.close)

    # what requests share

    def over(self, request: ProxiedRequest, finished: Finished, tokens: float) -> None:
        """Take note of the end of a request.

        Args:
            tokens: Of prompt and output.
        """
        caller = request.caller
        if caller is not ANONYMOUS:
            self._settle(request, finished, tokens)
            self._limiter.release(caller)
        if finished.outcome == "ok" and finished.output_tokens is not None:
            self._lengths.learn(request.output_limit, finished.output_tokens)
        elif finished.outcome in ("error", "refused"):
            self._errors += 1
        self.meter.finished(finished)
        if self._log is not None:
            self._log.write(finished)
        if self._tracer is not None:
            explanation = self.dispatcher.explain(finished.request_id)
            self._tracer.finished(finished, explanation.choices if explanation else ())

    def _settle(self, request: ProxiedRequest, finished: Finished, tokens: float) -> None:
        """Charge what a request took beyond its estimate, or take back what it did not."""
        if not finished.attempts:
            tokens = 0.0  # refused, or left, before any replica had work with it
        now, more = self.now(), tokens - request.prompt_tokens
        if more >= 0:
            self._limiter.charge(request.caller, more, now)
        else:
            self._limiter.refund(request.caller, -more, now - finished.duration_s, now)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something in the background, at most until the gateway closes."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a task of the gateway failed", exc_info=error)

    def _sweep(self) -> None:
        self._sweeping = self._loop.call_later(_SWEEP_S, self._sweep)
        if self._keys is not None:
            self._keys.reload()
        self._replicas.look()

    # the routes

    def _pass_on(
        self, request: Request, response: Response, request_id: str, caller: Caller
    ) -> None:
        facts = Facts()
        headers = request.headers
        # Engines take any other type for JSON, so nothing else may pass unread.
        if not headers.get(b"content-type", b"").startswith(b"multipart/form-data"):
            try:
                facts = read_facts(request.body)
            except BadBody as error:
                self._refuse(request, response, 400, str(error), request_id, reason="bad_request")
                return
        if facts.model is not None and self._table.model and facts.model != self._table.model:
            self._refuse_model(request, response, facts.model, request_id)
            return
        prompt, limit = memoryview(facts.prompt_text), facts.output_limit
        prompt_tokens = estimate_tokens(len(prompt))
        if caller is not ANONYMOUS:
            refusal = self._limiter.admit(caller, prompt_tokens, self.now())
            if refusal is not None:
                self._refuse_for_now(request, response, refusal, request_id)
                return
        self.budget.request()
        engine_headers, traces = self._engine_headers(headers, request_id)
        ProxiedRequest(
            self,
            request,
            response,
            id=request_id,
            route=request.path if request.path in _KNOWN else "other",
            stream=facts.stream is True,
            caller=caller,
            priority=caller.class_of(headers.get(b"x-replicore-priority")),
            headers=engine_headers,
            hashes=block_hashes(prompt) if self._replicas.caches else None,
            prompt_tokens=prompt_tokens,
            output_tokens=self._lengths.expected(limit),
            output_limit=limit,
            session=_session(request, facts) if self._sessions else 0,
            started_at=time.time(),
            traces=traces,
        ).start()

    def _engine_headers(
        self, headers: dict[bytes, bytes], request_id: str
    ) -> tuple[list[tuple[bytes, bytes]], tuple[str, str]]:
        """Return the headers for the engine, and the trace context: ours and the client's."""
        fields = request_headers(headers)
        if self._keys is not None:
            # The key is the gateway's, and none of the engine's business.
            fields = [field for field in fields if field[0] != b"authorization"]
        fields.append((b"x-request-id", request_id.encode("latin-1")))
        if self._tracer is None:
            return fields, ("", "")
        client = headers.get(b"traceparent", b"")
        ours = child_traceparent(client)
        dropped = {b"traceparent"}
        if not same_trace(client, ours):
            client = b""  # no valid header
            dropped.add(b"tracestate")
        fields = [field for field in fields if field[0] not in dropped]
        fields.append((b"traceparent", ours))
        # What a later version may have after these fields is of any length.
        return fields, (ours.decode("latin-1"), client[: len(ours)].decode("latin-1"))

    def _answer(self, request: Request, response: Response, request_id: str) -> None:
        if request.path in _HEALTH:  # asked for every second, so it is noted nowhere
            upstreams = self.dispatcher.upstreams.values()
            ready = sum(one.account.ready for one in upstreams)
            body = {"ready": ready, "replicas": len(upstreams)}
            self._send(response, body, request_id, status=200 if ready else 503)
        elif request.path == _MODELS:
            self._send(response, {"object": "list", "data": [self._model_card()]}, request_id)
            self._note(request, request_id, 200, "ok")
        elif request.path.startswith(_MODELS + "/"):
            model = unquote(request.path.removeprefix(_MODELS + "/"))
            if model == self._table.model:
                self._send(response, self._model_card(), request_id)
            else:
                self._refuse_model(request, response, model, request_id)
        else:
            self._refuse_route(request, response, request_id)

    def _model_card(self) -> dict[str, Any]:
        card = {"id": self._table.model, "object": "model", "created": 0, "owned_by": "replicore"}
        if self._table.max_model_len is not None:
            card["max_model_len"] = self._table.max_model_len
        if self._table.simulated:
            card["simulated"] = True
        return card

    def _send(self, response: Response, body: Any, request_id: str, *, status: int = 200) -> None:
        headers = [(b"x-request-id", request_id.encode("latin-1"))]
        response.send(status, msgspec.json.encode(body), headers=headers)

    # refusals

    def _refuse_caller(self, request: Request, response: Response, request_id: str) -> None:
        self._refuse(
            request,
            response,
            401,
            "this endpoint needs an API key: authorization: Bearer KEY",
            request_id,
            reason="unauthorized",
            code="invalid_api_key",
            headers=[(b"www-authenticate", b"Bearer")],
        )

    def _refuse_for_now(
        self, request: Request, response: Response, refusal: Refusal, request_id: str
    ) -> None:
        self._refuse(
            request,
            response,
            429,
            refusal.message,
            request_id,
            reason="rate_limited",
            type=refusal.TYPE,
            code=refusal.CODE,
            headers=[(b"retry-after", b"%d" % refusal.retry_after_s)],
        )

    def _refuse_model(
        self, request: Request, response: Response, model: str, request_id: str
    ) -> None:
        model = model[:_LONGEST_MODEL_TOLD]
        message = f'the model "{model}" does not exist; this endpoint serves "{self._table.model}"'
        self._refuse(
            request,
            response,
            404,
            message,
            request_id,
            reason="no_such_model",
            code="model_not_found",
            param="model",
        )

    def _refuse_route(self, request: Request, response: Response, request_id: str) -> None:
        if request.path in _KNOWN:
            message = f"{request.path} does not take {request.method}"
            allowed = b"GET, HEAD" if request.path in _HEALTH | {_MODELS} else b"POST"
            self._refuse(
                request,
                response,
                405,
                message,
                request_id,
                reason="bad_request",
                code="method_not_allowed",
                headers=[(b"allow", allowed)],
            )
        else:
            message = f"there is no {request.method} {request.path}"
            self._refuse(
                request, response, 404, message, request_id, reason="bad_request", code="not_found"
            )

    def _refuse(
        self,
        request: Request,
        response: Response,
        status: int,
        message: str,
        request_id: str,
        *,
        reason: str,
        type: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: list[tuple[bytes, bytes]] | None = None,
    ) -> None:
        self.meter.refused(reason)
        fields = [(b"x-request-id", request_id.encode("latin-1")), *(headers or ())]
        body = error_body(message, type=type, code=code, param=param)
        response.send(status, body, headers=fields)
        self._note(request, request_id, status, "refused")

    def _note(self, request: Request, request_id: str, status: int, outcome: Outcome) -> None:
        """Write down a request that no replica was asked for."""
        finished = Finished(
            request_id=request_id,
            caller="",
            route=request.path if request.path in _KNOWN else "other",
            stream=False,
            status=status,
            outcome=outcome,
            replica=None,
            started_at=time.time(),
            queue_s=0.0,
            ttft_s=None,
            tpot_s=None,
            duration_s=0.0,
            prompt_tokens=None,
            output_tokens=None,
            attempts=0,
            resumes=0,
        )
        self.meter.finished(finished)
        if self._log is not None:
            self._log.write(finished)


def _is_passed_on(path: str) -> bool:
    return path in _ENGINES or (path.startswith("/v1/") and not _climbs(path))


def _climbs(path: str) -> bool:
    """Whether an engine, or a proxy before it, might read the path as one outside of ``/v1/``."""
    plain = unquote(path).replace("\\", "/")
    return any(segment in (".", "..") for segment in plain.split("/"))


def _request_id(given: bytes | None) -> str:
    """Return the client's own id, as long as it is short, or a new one."""
    if given and len(given) <= _LONGEST_REQUEST_ID:
        return given.decode("latin-1")
    # Different, not secret.
    return f"{getrandbits(128):032x}"


def _session(request: Request, facts: Facts) -> int:
    """Return what keeps a conversation together: its id, its user, else how it begins."""
    given = request.headers.get(b"x-session-id")
    if given is None and isinstance(facts.user, str):
        given = facts.user.encode()
    return session_hash(given or bytes(memoryview(facts.prompt_text)[:256]))
