"""A server with fixed answers, for what is asked of an engine before it is ready."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import msgspec

from replicore.http.server import Request, Response, listen, serve

# Status and body by path; of all other paths the status is 404.
Answers = Mapping[str, tuple[int, bytes]]


def ask(answers: Answers, question: Callable[[int], Coroutine[Any, Any, object]]) -> None:
    """Run ``question`` with the port of a server that has these answers."""

    def answer(request: Request, response: Response) -> None:
        response.send(*answers.get(request.path, (404, b"{}")))

    async def run() -> None:
        sock = listen("127.0.0.1", 0)
        server = await serve(answer, sock=sock)
        try:
            await question(sock.getsockname()[1])
        finally:
            server.close()
            await server.wait_closed()

    asyncio.run(run())


def serving(*cards: Mapping[str, object]) -> Answers:
    """Return the answers of a vLLM that serves models with these cards."""
    return {
        "/health": (200, b""),
        "/v1/models": (200, msgspec.json.encode({"data": cards})),
        "/v1/completions": (200, b'{"usage": {"completion_tokens": 1}}'),
    }
