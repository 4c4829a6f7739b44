"""Prompts and envelopes for tests, and what a body says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from replicore.bench.load.bodies import Envelope, streamed
from replicore.bench.load.jobs import Job
from replicore.bench.load.prompts.sizing import Prompts, id_pool, word_pool
from replicore.bench.load.workload import Api, Workload

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def id_prompts(size: int = 1000) -> Prompts:
    """Return prompts of token ids, to which the server adds nothing."""
    pool = id_pool(range(1000, 1000 + size))
    return Prompts(api=Api.COMPLETIONS, pool=pool, ids=True, counted_by="a test", exact=True)


def word_prompts(api: Api = Api.CHAT, *, overhead: int = 0) -> Prompts:
    """Return prompts of words of one letter each."""
    pool = word_pool(LETTERS)
    return Prompts(
        api=api, pool=pool, ids=False, counted_by="a test", overhead=overhead, exact=True
    )


def envelope(workload: Workload) -> Envelope:
    return streamed("tiny", workload)


def said(job: Job, answers: Sequence[str] = ()) -> dict[str, Any]:
    """Return the body of a request, as its receiver reads it."""
    body = job.body if isinstance(job.body, bytes) else job.body(answers)
    fields: dict[str, Any] = json.loads(body)
    return fields
