"""The body of a request, as LLMPerf's client makes it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

JSON_HEADERS = ((b"content-type", b"application/json"), (b"accept", b"text/event-stream"))


def messages(prompt: str) -> list[dict[str, str]]:
    """Return the conversation: an empty system message, then the prompt."""
    return [{"role": "system", "content": ""}, {"role": "user", "content": prompt}]


def chat_body(
    model: str, prompt: str, sampling: Mapping[str, object], *, usage: bool = False
) -> bytes:
    """Return a request's body.

    Args:
        sampling: Goes in last, over every other key.
        usage: Ask for the server's token counts, which LLMPerf does not.
    """
    fields: dict[str, object] = {"model": model, "messages": messages(prompt), "stream": True}
    if usage:
        fields["stream_options"] = {"include_usage": True}
    return msgspec.json.encode({**fields, **sampling})
