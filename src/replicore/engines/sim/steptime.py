"""How long one step of an engine takes: numbers, and their sums. Pure, knows no device.

An engine works in steps. A *decode* step brings each of its sequences one token; a *prefill* step
works through a prompt, or a part of one; a mixed step does both and pays the fixed part once::

    decode  = decode_s + sequences * sequence_s + context * context_token_s
    prompt  = tokens * prompt_token_s + tokens * (before + tokens / 2) * prompt_pair_s
    prefill = prefill_s + prompt

``context`` is what all sequences of the step attend to together, ``before`` what stands before the
prompt's part in the KV cache already; both in tokens. The terms add up rather than one hiding the
other, since the layers of one step are bound by memory and by arithmetic in turn.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

# Tokens of a prompt, and how many of it stand before them in the KV cache.
Part = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTime:
    """The terms of a step, all in seconds.

    Attributes:
        decode_s: Of a decode step, whatever is in it: reading the weights, collectives, launches.
        sequence_s: Of each sequence in a decode step.
        context_token_s: Of each token that a decode step attends to.
        prefill_s: Of a prefill step without any decoding, whatever is in it.
        prompt_token_s: Of each prompt token.
        prompt_pair_s: Of each pair of a prompt token and one before it.
    """

    decode_s: float
    sequence_s: float = 0.0
    context_token_s: float = 0.0
    prefill_s: float = 0.0
    prompt_token_s: float = 0.0
    prompt_pair_s: float = 0.0

    def decode(self, sequences: int, context: int) -> float:
        """Return the seconds of a decode step of so many sequences."""
        return self.decode_s + sequences * self.sequence_s + context * self.context_token_s

    def prompt(self, tokens: int, before: int = 0) -> float:
        """Return the seconds that a part of a prompt adds to a step."""
        pairs = tokens * (before + tokens / 2)
        return tokens * self.prompt_token_s + pairs * self.prompt_pair_s

    def prefill(self, tokens: int, before: int = 0) -> float:
        """Return the seconds of a prefill step."""
        return self.prefill_s + self.prompt(tokens, before)

    def mixed(self, sequences: int, context: int, parts: Iterable[Part]) -> float:
        """Return the seconds of a step with parts of prompts, beside a decode step of any size."""
        alone = self.decode(sequences, context) if sequences else self.prefill_s
        return alone + sum(self.prompt(tokens, before) for tokens, before in parts)

    def faster(self, speed: float) -> StepTime:
        """Return the same engine at ``speed`` times its speed."""
        return StepTime(**{term.name: getattr(self, term.name) / speed for term in fields(self)})
