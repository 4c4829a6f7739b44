"""A chat server in a thread of its own: answers as a test scripts it, counts what it sees."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

from replicore.engines.sim.tokenizer import tokenize
from replicore.http.server import HttpServer, Request, Response, listen, serve

SSE = [(b"content-type", b"text/event-stream")]
DONE = b"data: [DONE]\n\n"

Body = dict[str, Any]


def event(**fields: Any) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


def delta(**fields: Any) -> bytes:
    return event(choices=[{"index": 0, "delta": fields, "finish_reason": None}])


def usage(body: Body, output: int) -> bytes:
    counts = {"prompt_tokens": prompt_tokens(body), "completion_tokens": output}
    return event(choices=[], usage=counts)


def prompt_tokens(body: Body) -> int:
    return len(tokenize(rendered(body["messages"])))


def rendered(messages: list[dict[str, str]]) -> str:
    return "".join(f"[{one['role']}]\n{one['content']}\n" for one in messages) + "[assistant]\n"


def tokens(count: int) -> bytes:
    return b"".join(delta(content=f" w{index}") for index in range(count))


def end(body: Body, output: int) -> bytes:
    """Return the closing events: the finish reason, usage if it was asked for, the end mark."""
    finish = event(choices=[{"index": 0, "delta": {}, "finish_reason": "length"}])
    wanted = body.get("stream_options", {}).get("include_usage")
    return finish + (usage(body, output) if wanted else b"") + DONE


Answer = Callable[["ChatServer", Body, Response], None]


def whole(server: ChatServer, body: Body, response: Response) -> None:
    """Answer with a role, as many content events as tokens were asked for, and the end."""
    count = body.get("max_tokens", 4)
    stream(response, delta(role="assistant", content="") + tokens(count) + end(body, count))


def stream(response: Response, *parts: bytes) -> None:
    response.start(200, SSE)
    for part in parts:
        response.write(part)
    response.end()


@dataclass
class ChatServer:
    """What the server is, and what it saw.

    Attributes:
        tokenizer: ``vllm`` or ``llama.cpp`` for its dialect; None for none.
        bodies: Of the chat requests, in the order in which they came.
        keys: Their ``authorization`` headers.
        most_open: Most chat requests at the same time.
        held: Requests that an answer keeps for later.
    """

    answer: Answer = whole
    tokenizer: str | None = "vllm"
    url: str = ""
    bodies: list[Body] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    open: set[Response] = field(default_factory=set)
    most_open: int = 0
    held: list[tuple[Body, Response]] = field(default_factory=list)

    def handle(self, request: Request, response: Response) -> None:
        body = json.loads(request.body) if request.body else {}
        if request.path == "/v1/chat/completions":
            self.keys.append(request.headers.get(b"authorization", b"").decode())
            self._chat(body, response)
        elif request.path == "/tokenize" and self.tokenizer is not None:
            ids = tokenize(self._text(body))
            response.send(200, json.dumps({"tokens": ids, "count": len(ids)}).encode())
        elif request.path == "/apply-template" and self.tokenizer == "llama.cpp":
            prompt = rendered(body["messages"])
            response.send(200, json.dumps({"prompt": prompt}).encode())
        else:
            response.send(404, b'{"error": {"message": "no such path"}}')

    def _text(self, body: Body) -> str:
        """Return what is to be tokenised; llama.cpp knows no messages here."""
        if self.tokenizer == "llama.cpp":
            return str(body.get("content", ""))
        return rendered(body["messages"]) if "messages" in body else str(body["prompt"])

    def _chat(self, body: Body, response: Response) -> None:
        self.bodies.append(body)
        self.open = {one for one in self.open if not one.done} | {response}
        self.most_open = max(self.most_open, len(self.open))
        self.answer(self, body, response)

    def release(self) -> None:
        """Answer every held request."""
        while self.held:
            whole(self, *self.held.pop(0))


@contextmanager
def chat_server(answer: Answer = whole, tokenizer: str | None = "vllm") -> Iterator[ChatServer]:
    """Run a server on a free port; its connections are cut at the end."""
    server = ChatServer(answer, tokenizer)
    loop = asyncio.new_event_loop()
    sock = listen("127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    http = loop.run_until_complete(serve(server.handle, sock=sock))
    thread = Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(_close(http), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _close(http: HttpServer) -> None:
    http.close()
    await http.wait_closed(timeout=0)
