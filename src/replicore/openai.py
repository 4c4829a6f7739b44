"""The few wire shapes of OpenAI's API that replicore itself reads and writes.

Source: https://platform.openai.com/docs/api-reference
"""

from __future__ import annotations

import msgspec


class ModelCard(msgspec.Struct, frozen=True):
    """An entry of ``/v1/models``: OpenAI's ``id`` and ``owned_by``, and what servers add.

    Attributes:
        owned_by: ``llamacpp`` where llama.cpp answers.
        max_model_len: Tokens per sequence; of vLLM, the simulator and our gateway.
        simulated: Of the simulator and our gateway.
        slots: Sequences worked on at the same time; of the simulator.
    """

    id: str
    owned_by: str | None = None
    max_model_len: int | None = None
    simulated: bool = False
    slots: int | None = None


class ModelList(msgspec.Struct, frozen=True):
    """The answer of ``/v1/models``."""

    data: tuple[ModelCard, ...]


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
