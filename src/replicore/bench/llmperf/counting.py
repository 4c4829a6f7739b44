"""How many tokens our prompts have: by the user's tokenizer, the server's, or an estimate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from replicore.bench.llmperf.own_prompts import (
    Costs,
    OwnPrompts,
    estimated,
    instruction,
    probe_text,
    read_probe,
)
from replicore.bench.llmperf.server_tokens import ServerTokenizer
from replicore.bench.llmperf.servers import Servers
from replicore.bench.llmperf.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Counted:
    """A source of prompts.

    Attributes:
        exact: Whether they have the asked length as the server counts, its chat template included.
        by: Who counted, for the report.
    """

    prompts: OwnPrompts
    exact: bool
    by: str


async def counted_prompts(
    servers: Servers, model: str, outputs: Sequence[int], vocabulary: Vocabulary | None
) -> Counted:
    """Return a source of prompts for every number of output tokens in ``outputs``.

    No request is sent that a model answers: a benchmark of ten requests is ten at the server.
    """
    numbers = sorted(set(outputs))
    reference = numbers[0]
    server = ServerTokenizer(servers, model)
    costs, by = await _costs(server, numbers, vocabulary)
    shortest = (costs or estimated(numbers)).words[0] + instruction(reference)
    whole = await server.chat_tokens(shortest)
    if whole is None:
        by += ", the chat template not counted"
    fixed = whole - 1 if whole is not None else _fixed_without_template(shortest, vocabulary)
    prompts = OwnPrompts(costs or estimated(numbers), fixed=fixed, reference=reference)
    return Counted(prompts, exact=costs is not None and whole is not None, by=by)


async def _costs(
    server: ServerTokenizer, numbers: Sequence[int], vocabulary: Vocabulary | None
) -> tuple[Costs | None, str]:
    text = probe_text(numbers)
    if vocabulary is not None:
        return read_probe(vocabulary.ids(text), numbers), "the tokenizer given"
    ids = await server.ids(text)
    costs = None if ids is None else read_probe(ids, numbers)
    return costs, "the server's tokenizer" if costs is not None else "an estimate"


def _fixed_without_template(shortest: str, vocabulary: Vocabulary | None) -> int:
    """Return the instruction's tokens; about a token a word where nobody can count them."""
    return vocabulary.count(shortest) - 1 if vocabulary is not None else len(shortest.split()) + 1
