"""The answer to a caller who has used up what it may."""

from __future__ import annotations

from typing import ClassVar

import msgspec


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """Why a request is answered with 429, in the words of OpenAI's error object."""

    TYPE: ClassVar[str] = "rate_limit_error"
    CODE: ClassVar[str] = "rate_limit_exceeded"

    message: str
    retry_after_s: int
