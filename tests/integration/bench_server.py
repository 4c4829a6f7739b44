"""An OpenAI server that a test scripts, in the test's own loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from replicore.http.server import HttpServer, Request, Response, listen, serve

SSE = [(b"content-type", b"text/event-stream")]
DONE = b"data: [DONE]\n\n"


def event(**fields: Any) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


def chunk(text: str, **fields: Any) -> bytes:
    return event(choices=[{"index": 0, "text": text, **fields}])


def usage(body: dict[str, Any], output: int | None = None) -> bytes:
    prompt = body.get("prompt") or body["messages"][0]["content"].split()
    output = body["max_tokens"] if output is None else output
    return event(choices=[], usage={"prompt_tokens": len(prompt), "completion_tokens": output})


def input_tokens(prompt: str | list[int]) -> int:
    """As a server counts: ids as they are, 2 tokens a word and 5 of a template."""
    return len(prompt) if isinstance(prompt, list) else 5 + 2 * len(prompt.split())


Answer = Callable[["Server", dict[str, Any], Response], None]


def whole(server: Server, body: dict[str, Any], response: Response) -> None:
    """Answer with a token per chunk, at once."""
    response.start(200, SSE)
    response.write(b"".join(chunk(f"w{i} ") for i in range(body["max_tokens"])))
    response.write(chunk("", finish_reason="length") + usage(body) + DONE)
    response.end()


@dataclass
class Server:
    """An OpenAI server that answers as a test scripts it and counts what it sees."""

    answer: Answer = whole
    tokenizes: bool = True
    bodies: list[dict[str, Any]] = field(default_factory=list)
    authorizations: list[bytes | None] = field(default_factory=list)
    open_requests: set[Response] = field(default_factory=set)
    most_open: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    def handle(self, request: Request, response: Response) -> None:
        self.authorizations.append(request.headers.get(b"authorization"))
        if request.path == "/v1/models":
            response.send(200, b'{"data": [{"id": "tiny"}]}')
        elif request.path == "/tokenize" and self.tokenizes:
            words = json.loads(request.body)["prompt"].split()
            response.send(200, json.dumps({"tokens": list(range(len(words)))}).encode())
        elif request.path in ("/v1/completions", "/v1/chat/completions"):
            self._complete(json.loads(request.body), response)
        else:
            response.send(404, b'{"error": {"message": "no such path"}}')

    def _complete(self, body: dict[str, Any], response: Response) -> None:
        if not body.get("stream"):
            tokens = input_tokens(body.get("prompt") or body["messages"][0]["content"])
            response.send(200, json.dumps({"usage": {"prompt_tokens": tokens}}).encode())
            return
        self.bodies.append(body)
        self.open_requests.add(response)
        self.most_open = max(self.most_open, len(self.open_requests))
        self.answer(self, body, response)
        if response.done:
            self.open_requests.discard(response)
        self.arrived.set()


@asynccontextmanager
async def running(server: Server) -> AsyncIterator[HttpServer]:
    sock = listen("127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    http = await serve(server.handle, sock=sock)
    try:
        yield http
    finally:
        http.close()
        await http.wait_closed(timeout=0)


@dataclass
class HoldUntil:
    """Answers the oldest open request whenever ``count`` are open, and all once none may come.

    So a run makes progress only if it keeps ``count`` requests in flight.
    """

    count: int
    total: int
    held: list[tuple[dict[str, Any], Response]] = field(default_factory=list)

    def __call__(self, server: Server, body: dict[str, Any], response: Response) -> None:
        self.held.append((body, response))
        if len(self.held) == self.count:
            self.release(server)
        if len(server.bodies) == self.total:
            while self.held:
                self.release(server)

    def release(self, server: Server) -> None:
        body, response = self.held.pop(0)
        whole(server, body, response)
        server.open_requests.discard(response)


@asynccontextmanager
async def serving(*servers: Server) -> AsyncIterator[Sequence[str]]:
    """Run several servers; yield their URLs."""
    async with AsyncExitStack() as stack:
        for server in servers:
            await stack.enter_async_context(running(server))
        yield [server.url for server in servers]
