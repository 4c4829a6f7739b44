"""The simulator's routes."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import msgspec

from replicore.engines.sim.bodies import BodyReader, Generation, RequestError, unknown_model
from replicore.engines.sim.embedding import embeddings_body
from replicore.engines.sim.faults import Fate, Faults
from replicore.engines.sim.metrics import Metrics
from replicore.engines.sim.options import SimOptions
from replicore.engines.sim.pace import cache_blocks, create_pace
from replicore.engines.sim.replies import SIMULATED, Reply, StreamReply, WholeReply
from replicore.engines.sim.runner import Runner
from replicore.engines.sim.sequence import Sequence
from replicore.engines.sim.tokenizer import detokenize, tokenize
from replicore.engines.sim.wire import Wire, model_card
from replicore.http.server import Request, Response
from replicore.openai import error_body

_MODEL_PATH = "/v1/models/"

Route = Callable[[Request, Response], None]


class SimServer:
    """An OpenAI server without a model; :meth:`handle` is the handler of ``http/server.py``.

    Args:
        faults: Those in force, which are not ``options.faults`` after a ``fault_once_file``.
        die: Ends the process, for the faults that do; gets the fault's name.
        clock: Seconds, for the timing of tokens.
    """

    def __init__(
        self,
        options: SimOptions,
        *,
        faults: Faults,
        die: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = options
        self._faults = faults
        self._die = die
        self._created = int(time.time())
        self._reader = BodyReader(model=options.model, max_model_len=options.max_model_len)
        self._blocks = cache_blocks(options)
        self._metrics = Metrics()
        self._scheduler = create_pace(options)
        self._runner = Runner(
            self._scheduler,
            self._metrics,
            clock=clock,
            crash_after_tokens=faults.crash_after_tokens,
            die=die,
        )
        self._requests = 0
        self._routes: dict[str, tuple[str, Route]] = {
            "/health": ("GET", self._health),
            "/metrics": ("GET", self._write_metrics),
            "/v1/models": ("GET", self._models),
            _MODEL_PATH: ("GET", self._model),
            "/v1/completions": ("POST", self._completions),
            "/v1/chat/completions": ("POST", self._chat),
            "/v1/embeddings": ("POST", self._embeddings),
            "/tokenize": ("POST", self._tokenize),
            "/detokenize": ("POST", self._detokenize),
        }

    def handle(self, request: Request, response: Response) -> None:
        try:
            self._route(request)(request, response)
        except _WrongMethod as error:
            headers = [SIMULATED, (b"allow", error.allowed.encode())]
            response.send(error.status, error.body(), headers=headers)
        except RequestError as error:
            response.send(error.status, error.body(), headers=[SIMULATED])

    def _route(self, request: Request) -> Route:
        path = _MODEL_PATH if request.path.startswith(_MODEL_PATH) else request.path
        if path not in self._routes:
            raise RequestError(404, f"there is no {path} here", code="not_found")
        method, route = self._routes[path]
        if request.method != method and not (request.method == "HEAD" and method == "GET"):
            raise _WrongMethod(request, method)
        return route

    def _health(self, request: Request, response: Response) -> None:
        _send(response, {"status": "ok", "simulated": True})

    def _models(self, request: Request, response: Response) -> None:
        _send(response, {"object": "list", "data": [self._card()]})

    def _model(self, request: Request, response: Response) -> None:
        name = unquote(request.path.removeprefix(_MODEL_PATH))
        if name != self._options.model:
            raise unknown_model(name)
        _send(response, self._card())

    def _card(self) -> dict[str, Any]:
        options = self._options
        return model_card(
            options.model,
            max_model_len=options.max_model_len,
            slots=options.slots,
            created=self._created,
            profile=options.profile,
            speed=options.speed,
        )

    def _write_metrics(self, request: Request, response: Response) -> None:
        text = self._metrics.exposition(
            model=self._options.model,
            running=self._scheduler.running,
            waiting=self._scheduler.waiting,
            kv_usage=self._scheduler.cache_blocks / self._blocks,
            preemptions=self._scheduler.preemptions,
            late=self._runner.late,
        )
        kind = b"text/plain; version=0.0.4; charset=utf-8"
        response.send(200, text.encode(), content_type=kind, headers=[SIMULATED])

    def _tokenize(self, request: Request, response: Response) -> None:
        tokens = tokenize(self._reader.text(request.body))
        length = self._options.max_model_len
        _send(response, {"tokens": tokens, "count": len(tokens), "max_model_len": length})

    def _detokenize(self, request: Request, response: Response) -> None:
        _send(response, {"prompt": detokenize(self._reader.tokens(request.body))})

    def _embeddings(self, request: Request, response: Response) -> None:
        embedding = self._reader.embedding(request.body)
        body = embeddings_body(embedding, model=self._options.model)
        response.send(200, body, headers=[SIMULATED])

    def _completions(self, request: Request, response: Response) -> None:
        self._generate(self._reader.completion(request.body), response)

    def _chat(self, request: Request, response: Response) -> None:
        self._generate(self._reader.chat(request.body), response)

    def _generate(self, generation: Generation, response: Response) -> None:
        self._requests += 1
        fate = self._faults.fate(self._requests)
        if fate is Fate.ANSWERED:
            self._answer(generation, response)
        elif fate is Fate.FAILED:
            _send_fault(response, 500, "error-rate")
        elif fate is Fate.REJECTED:
            _send_fault(response, 503, "reject")
        elif fate is Fate.FATAL:
            self._die(f"crash-after-requests={self._faults.crash_after_requests}")

    def _answer(self, generation: Generation, response: Response) -> None:
        sequences = self._sequences(generation)
        cancel = partial(self._runner.cancel, sequences)
        response.on_disconnect = cancel
        wire = self._wire(generation)
        reply: Reply
        if generation.stream:
            reply = StreamReply(
                response, wire, generation, sequences, faults=self._faults, cancel=cancel
            )
        else:
            reply = WholeReply(response, wire, generation, sequences)
        self._runner.add(reply, sequences)

    def _sequences(self, generation: Generation) -> list[Sequence]:
        return [
            Sequence(
                prompt,
                max_tokens=generation.max_tokens,
                stop=generation.stop,
                ignore_eos=generation.ignore_eos,
                stall_after=self._faults.stall_after_tokens,
            )
            for prompt in generation.prompts
            for _ in range(generation.n)
        ]

    def _wire(self, generation: Generation) -> Wire:
        return Wire(
            name=uuid4().hex,
            created=int(time.time()),
            model=self._options.model,
            chat=generation.chat,
            usage=generation.include_usage,
            token_ids=generation.return_token_ids,
        )


class _WrongMethod(RequestError):
    def __init__(self, request: Request, allowed: str) -> None:
        super().__init__(405, f"{request.path} takes {allowed}, not {request.method}")
        self.allowed = allowed


def _send(response: Response, body: dict[str, Any]) -> None:
    response.send(200, msgspec.json.encode(body), headers=[SIMULATED])


def _send_fault(response: Response, status: int, fault: str) -> None:
    body = error_body(f"simulated fault: {fault}", type="server_error")
    response.send(status, body, headers=[SIMULATED])
