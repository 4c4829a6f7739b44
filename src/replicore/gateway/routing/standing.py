"""What a policy goes by when it places a request: the replicas as they stand, and the request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from replicore.gateway.routing.rates import Rates


class Standing(msgspec.Struct, gc=False):
    """How a replica stands when a request is to be placed. It is a ``routing.Load``.

    Attributes:
        name: Of the replica.
        key: Stands for the name.
        outstanding: Requests there, over all workers.
        prefill_tokens: Of these, still to be worked through, without those in the prefix cache.
        decode_tokens: Of these, still expected.
        rates: How fast it is.
    """

    name: str
    key: int
    outstanding: int
    prefill_tokens: float
    decode_tokens: float
    rates: Rates


class Ask(msgspec.Struct, gc=False):
    """What a policy may know of a request.

    Attributes:
        prompt_tokens: Estimated.
        output_tokens: Expected.
        matched: Of the prompt, believed to be in the prefix cache of each replica.
        session: What the session has in common: a hash of its id or of the prompt's beginning.
        turn: Counts the decisions.
    """

    prompt_tokens: float
    output_tokens: float
    matched: Sequence[float]
    session: int
    turn: int
