"""Is a replica that has requests and sends nothing hung, or only busy?

Silence alone does not tell: a long prefill is silent, and so is a request without ``stream`` until
its end. A hung engine neither generates one token for somebody new nor counts any for the others.
"""

from __future__ import annotations

import asyncio
import re

from replicore.engines.engine import ReplicaPlan
from replicore.engines.readiness import ANSWER_TIMEOUT_S, check_token
from replicore.errors import UpstreamError
from replicore.http.fetch import fetch

# What engines count of their own work: tokens, or steps, one of which may be a whole prefill.
_WORK = re.compile(
    rb"^(?:vllm:(?:generation_tokens_total|prompt_tokens_total|iteration_tokens_total_count)"
    rb"|llamacpp:(?:tokens_predicted_total|prompt_tokens_total|n_decode_total))"
    rb"(?:\{.*\})? (\S+)",
    re.MULTILINE,
)


async def is_hung(replica: ReplicaPlan, *, patience_s: float) -> bool:
    """Ask the replica for one token; return whether none came and nothing else happened either.

    Args:
        patience_s: How long it may take: in a busy engine the question waits for a slot.
    """
    before = await _work_done(replica)
    try:
        async with asyncio.timeout(patience_s):
            await check_token(replica)
    except (UpstreamError, TimeoutError):
        return before == await _work_done(replica)
    return False


async def _work_done(replica: ReplicaPlan) -> float | None:
    """Return what the engine has counted so far; None where it counts nothing, or says nothing."""
    try:
        reply = await fetch(replica.endpoint, "GET", "/metrics", timeout=ANSWER_TIMEOUT_S)
    except UpstreamError:
        return None
    return work_done(reply.body) if reply.status == 200 else None


def work_done(metrics: bytes) -> float | None:
    """Return the sum of an engine's own counters of work; None without one.

    >>> work_done(b'llamacpp:prompt_tokens_total 7\\nllamacpp:n_decode_total 2\\n')
    9.0
    """
    counters = [float(value) for value in _WORK.findall(metrics)]
    return sum(counters) if counters else None
