"""llama.cpp's step, and its terms from a layout's probes.

A step is one pass over its tokens or several. The kernels for CPUs take tokens in groups of four,
and what is left over one by one, which reads the weights once for each: three tokens take nearly as
long as four. A pass over n tokens, of which s are of sequences that decode, takes::

    fixed + n // 4 * group + n % 4 * single + s * output + context * context_token + pairs * pair

A pass has as many tokens of each of its sequences, unless they share one KV cache, which they do
not by default. So prompts beside decoding take one token into the first pass, and what is left of
them is a pass of its own. Slots whose numbers are not in a row make more passes; that is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean

import numpy as np

from replicore.engines.sim.steptime import Part

GROUP = 4


@dataclass(frozen=True, slots=True)
class Passes:
    """A ``planner.simulate.model.Steps``; all terms in seconds.

    Attributes:
        fixed_s: Of a pass, whatever is in it.
        group_s: Of four tokens.
        single_s: Of a token that is in no group.
        output_s: Of the output layer for one sequence.
        context_token_s: Of each token that a decoded one attends to.
        pair_s: Of each pair of a prompt token and one before it.
    """

    fixed_s: float
    group_s: float
    single_s: float
    output_s: float
    context_token_s: float
    pair_s: float

    def decode(self, sequences: int, context: int) -> float:
        """Return the seconds of a pass over one token of every sequence."""
        return self.mixed(sequences, context, ())

    def prefill(self, tokens: int, before: int) -> float:
        """Return the seconds of a pass over a part of a prompt."""
        return self.mixed(0, 0, [(tokens, before)])

    def mixed(self, sequences: int, context: int, parts: Sequence[Part]) -> float:
        """Return the seconds of the passes over decoded tokens and parts of prompts."""
        together = [1 if sequences else tokens for tokens, _ in parts]
        left = [tokens - taken for (tokens, _), taken in zip(parts, together, strict=True)]
        passes = [sequences + sum(together), *(tokens for tokens in left if tokens)]
        pairs = sum(tokens * (before + tokens / 2) for tokens, before in parts)
        return (
            sum(self._pass_s(tokens) for tokens in passes)
            + sequences * self.output_s
            + context * self.context_token_s
            + pairs * self.pair_s
        )

    def _pass_s(self, tokens: int) -> float:
        groups, singles = divmod(tokens, GROUP)
        return self.fixed_s + groups * self.group_s + singles * self.single_s


@dataclass(frozen=True, slots=True)
class Decoded:
    """Steps of requests that decode and nothing else.

    Attributes:
        sequences: Of one replica.
        context: Tokens that they attend to together.
        step_s: Of a step, in the mean.
    """

    sequences: int
    context: float
    step_s: float


@dataclass(frozen=True, slots=True)
class Prompted:
    """A prompt that was worked on alone."""

    tokens: int
    ttft_s: float


Probed = Decoded | Prompted


def fit_passes(probed: Iterable[Probed], budget: int) -> Passes:
    """Return the terms of a pass, none below 0, by least squares of relative errors.

    What was probed more than once counts by its mean: a machine that is slow now and then is slow
    in the loads too, and relative errors of single requests would favour the fast ones.

    Args:
        budget: Tokens of a pass at most.
    """
    seconds: dict[tuple[float, ...], list[float]] = {}
    for one in probed:
        if isinstance(one, Decoded):
            row, target = _decode_row(one.sequences, one.context), one.step_s
        else:
            row, target = _prompt_row(one.tokens, budget), one.ttft_s
        seconds.setdefault(row, []).append(target)
    targets = [mean(each) for each in seconds.values()]
    return Passes(*_non_negative(np.array([*seconds]), np.array(targets)))


def _decode_row(sequences: int, context: float) -> tuple[float, ...]:
    return (1.0, *divmod(sequences, GROUP), sequences, context, 0)


def _prompt_row(tokens: int, budget: int) -> tuple[float, ...]:
    full, rest = divmod(tokens, budget)
    groups = full * (budget // GROUP) + rest // GROUP
    singles = full * (budget % GROUP) + rest % GROUP
    return (full + (rest > 0), groups, singles, 1, 0, tokens * tokens / 2)


def _non_negative(rows: np.ndarray, targets: np.ndarray) -> list[float]:
    """Return the least squares of relative errors; a term that would be below 0 is left out."""
    weighted = rows / targets[:, None]
    kept = list(range(rows.shape[1]))
    while True:
        solved, *_ = np.linalg.lstsq(weighted[:, kept], np.ones(len(targets)), rcond=None)
        worst = int(np.argmin(solved))
        if solved[worst] >= 0:
            break
        del kept[worst]
    terms = [0.0] * rows.shape[1]
    for index, term in zip(kept, solved.tolist(), strict=True):
        terms[index] = term
    return terms
