"""The few wire shapes of OpenAI's API that replicore itself writes.

Source: https://platform.openai.com/docs/api-reference
"""

from __future__ import annotations

import msgspec


def error_body(
    message: str,
    *,
    type: str = "invalid_request_error",
    code: str | None = None,
    param: str | None = None,
) -> bytes:
    """Return OpenAI's error object as JSON: ``{"error": {"message", "type", "param", "code"}}``."""
    return msgspec.json.encode(
        {"error": {"message": message, "type": type, "param": param, "code": code}}
    )
