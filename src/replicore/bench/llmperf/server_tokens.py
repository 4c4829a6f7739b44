"""The tokenizer of the servers under test."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from replicore.bench.llmperf.bodies import messages
from replicore.bench.llmperf.servers import Servers
from replicore.errors import UpstreamError
from replicore.http.fetch import fetch

_TIMEOUT_S = 10.0

_AnswerT = TypeVar("_AnswerT")


class _Tokens(msgspec.Struct):
    tokens: list[int]


class _Rendered(msgspec.Struct):
    prompt: str


class ServerTokenizer:
    """The tokenizer of the first server that lets it be used: of vLLM and of llama.cpp."""

    def __init__(self, servers: Servers, model: str) -> None:
        self._servers = servers
        self._model = model

    async def ids(self, text: str) -> list[int] | None:
        """Return the ids of ``text`` without special tokens; None where no server can."""
        # One body for both dialects: llama.cpp reads the first two fields, vLLM the others.
        return await self._tokenize(
            content=text, add_special=False, prompt=text, add_special_tokens=False
        )

    async def chat_tokens(self, prompt: str) -> int | None:
        """Return the tokens of a whole request with ``prompt``; None where no server can tell."""
        conversation = messages(prompt)
        ids = await self._tokenize(messages=conversation)
        if ids is not None:
            return len(ids)
        rendered = await self._ask("/apply-template", _Rendered, messages=conversation)
        if rendered is None:
            return None
        ids = await self._tokenize(content=rendered.prompt, add_special=True, parse_special=True)
        return None if ids is None else len(ids)

    async def _tokenize(self, **fields: object) -> list[int] | None:
        """Return the ids; none at all are no answer: llama.cpp's to a field it does not know."""
        found = await self._ask("/tokenize", _Tokens, model=self._model, **fields)
        return found.tokens or None if found is not None else None

    async def _ask(self, path: str, kind: type[_AnswerT], **fields: object) -> _AnswerT | None:
        for endpoint in self._servers.endpoints:
            try:
                reply = await fetch(
                    endpoint,
                    "POST",
                    path,
                    body=msgspec.json.encode(fields),
                    headers=self._servers.headers,
                    timeout=_TIMEOUT_S,
                )
            except UpstreamError:
                continue
            if reply.status == 200:
                return _decoded(reply.body, kind)
        return None


def _decoded(body: bytes, kind: type[_AnswerT]) -> _AnswerT | None:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError:
        return None
