"""Request bodies, put together from JSON that is encoded once. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from replicore.bench.load.workload import Api, Workload

_ROUTES = {Api.COMPLETIONS: "/v1/completions", Api.CHAT: "/v1/chat/completions"}


def route(api: Api) -> str:
    return _ROUTES[api]


@dataclass(frozen=True, slots=True)
class Envelope:
    """All of a body but what differs from request to request.

    Attributes:
        head: A JSON object without its closing brace.
        limit: Output tokens that ``head`` asks for already.
    """

    api: Api
    head: bytes
    limit: int | None = None

    def asked(self, output_tokens: int) -> int:
        """Return the output tokens that a body asks for."""
        return output_tokens if self.limit is None else self.limit

    def body(self, prompt: bytes, output_tokens: int) -> bytes:
        """Return the body for a prompt, which is the JSON of ``prompt`` or of ``messages``."""
        name = b"messages" if self.api is Api.CHAT else b"prompt"
        limit = b"" if self.limit is not None else b',"max_tokens":%d' % output_tokens
        return b'%b%b,"%b":%b}' % (self.head, limit, name, prompt)


def streamed(model: str, workload: Workload) -> Envelope:
    """Return the envelope of measured requests: greedy, streamed, with the server's counts."""
    fields: dict[str, object] = {
        "model": model,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if workload.ignore_eos:
        fields["ignore_eos"] = True
    return _envelope(workload.api, fields | dict(workload.extra))


def counted(model: str, api: Api) -> Envelope:
    """Return the envelope of a request that is only asked to have its prompt counted."""
    return _envelope(api, {"model": model, "temperature": 0})


def _envelope(api: Api, fields: dict[str, object]) -> Envelope:
    head = msgspec.json.encode(fields).removesuffix(b"}")
    limit = fields.get("max_tokens", fields.get("max_completion_tokens"))
    return Envelope(api, head, limit if isinstance(limit, int) else None)


def text_prompt(api: Api, text: str) -> bytes:
    """Return the JSON of ``messages``, or of ``prompt``, for one text."""
    content = msgspec.json.encode(text)
    return messages(message("user", content)) if api is Api.CHAT else content


def message(role: str, content: bytes) -> bytes:
    """Return a chat message; ``content`` is JSON."""
    return b'{"role":"%b","content":%b}' % (role.encode(), content)


def messages(*parts: bytes) -> bytes:
    return b"[%b]" % b",".join(parts)
