"""What the server under test says of itself: its models, its tokens, how long a prompt is."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from replicore.bench.load.bodies import Envelope, route
from replicore.errors import UpstreamError
from replicore.http.fetch import Reply, fetch
from replicore.openai import ModelList

Headers = Sequence[tuple[bytes, bytes]]

_TIMEOUT_S = 60.0
_SHOWN_BYTES = 200


class _Tokens(msgspec.Struct):
    tokens: list[int]


class _Usage(msgspec.Struct):
    prompt_tokens: int


class _Answer(msgspec.Struct):
    usage: _Usage


async def find_server(endpoints: Sequence[str], headers: Headers = ()) -> tuple[str, str]:
    """Return the first endpoint that answers, and the first model that it serves.

    Raises:
        UpstreamError: None of them answers with a model.
    """
    errors = []
    for endpoint in endpoints:
        try:
            reply = await fetch(endpoint, "GET", "/v1/models", headers=headers, timeout=_TIMEOUT_S)
            return endpoint, _first_model(endpoint, reply)
        except UpstreamError as error:
            errors.append(error.message)
    raise UpstreamError(
        "; ".join(errors), hint="start a deployment with `replicore up`, or check the URL"
    )


def _first_model(endpoint: str, reply: Reply) -> str:
    try:
        return msgspec.json.decode(reply.body, type=ModelList).data[0].id
    except (ValueError, IndexError):
        raise UpstreamError(f"{endpoint}/v1/models names no model: {_said(reply)}") from None


class Server:
    """One server, asked for one model.

    Args:
        headers: Of every request, such as an API key's.
    """

    def __init__(self, endpoint: str, model: str, headers: Headers = ()) -> None:
        self.endpoint = endpoint
        self.model = model
        self._headers = headers

    async def tokenize(self, text: str) -> list[int] | None:
        """Return the ids of ``text`` without special tokens; None where the server cannot.

        One body for both dialects: llama.cpp reads ``content`` and ``add_special``, vLLM the
        others.
        """
        body = {
            "content": text,
            "add_special": False,
            "model": self.model,
            "prompt": text,
            "add_special_tokens": False,
        }
        reply = await self._post("/tokenize", msgspec.json.encode(body))
        try:
            return msgspec.json.decode(reply.body, type=_Tokens).tokens
        except ValueError:
            return None

    async def prompt_tokens(self, envelope: Envelope, prompt: bytes) -> int:
        """Return the input tokens that the server counts for a prompt, by answering it.

        Raises:
            UpstreamError: No answer, or one without ``usage``.
        """
        reply = await self._post(route(envelope.api), envelope.body(prompt, 1))
        try:
            return msgspec.json.decode(reply.body, type=_Answer).usage.prompt_tokens
        except ValueError:
            message = f"{self.endpoint} did not count a prompt's tokens: {_said(reply)}"
            raise UpstreamError(message) from None

    async def _post(self, path: str, body: bytes) -> Reply:
        return await fetch(
            self.endpoint, "POST", path, body=body, headers=self._headers, timeout=_TIMEOUT_S
        )


def _said(reply: Reply) -> str:
    return f"status {reply.status}: {reply.body[:_SHOWN_BYTES].decode('utf-8', 'replace')}"
