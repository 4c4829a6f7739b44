"""What the gateway reads of a request's body. Pure."""

from __future__ import annotations

import msgspec


class BadBody(Exception):
    """Raised for a request body that a client must mend; the message is for the client."""


_NOTHING = msgspec.Raw()

# Only what takes no more memory than its text: a list of many empty lists takes 30 times as much.
_Scalar = int | float | str | bool | None

# A larger limit is none. What is reckoned with it must stay exact in a float64.
_LARGEST_LIMIT = 2**31


class Facts(msgspec.Struct, gc=False):
    """What routing needs to know of a request's body.

    Attributes:
        max_tokens: As given, for the engine to judge, but for lists and objects, which no engine
            takes there; so are ``max_completion_tokens`` and ``user``.
        messages: JSON text of the value; empty where there is none.
    """

    model: str | None = None
    stream: bool | None = None
    max_tokens: _Scalar = None
    max_completion_tokens: _Scalar = None
    user: _Scalar = None
    messages: msgspec.Raw = _NOTHING
    prompt: msgspec.Raw = _NOTHING
    input: msgspec.Raw = _NOTHING

    @property
    def prompt_text(self) -> msgspec.Raw:
        """JSON text of the prompt, in whatever form it came."""
        return self.messages or self.prompt or self.input

    @property
    def output_limit(self) -> int | None:
        """Tokens that the client allows; None where it set no limit."""
        limit = self.max_completion_tokens or self.max_tokens
        return limit if isinstance(limit, int) and 0 < limit <= _LARGEST_LIMIT else None


_decoder = msgspec.json.Decoder(Facts)


def read_facts(body: bytes) -> Facts:
    """Return the facts of a JSON body; the rest of it is skipped, not built.

    Raises:
        BadBody: Not a JSON object, or one of the facts has another type.
    """
    try:
        return _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise BadBody(f"the request body is not what the API asks for: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadBody(f"the request body is not valid JSON: {error}") from error
