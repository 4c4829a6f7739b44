"""What the load client is given: requests with their bodies, in sessions. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

# Makes the body of a turn from the answers to the turns before it.
MakeBody = Callable[[Sequence[str]], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One request.

    Attributes:
        body: Encoded before the clock starts, or what makes it from the session's earlier answers.
        pause_s: After the answer before it in its session.
    """

    index: int
    body: bytes | MakeBody
    input_tokens: int
    output_tokens: int
    pause_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Requests that are sent one after the other; most have only one.

    Attributes:
        at_s: When the first one should leave; None in a closed loop, as soon as there is a place.
    """

    index: int
    jobs: Sequence[Job]
    at_s: float | None = None
    warmup: bool = False
