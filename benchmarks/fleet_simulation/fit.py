"""The terms of llama.cpp's step from a layout's probes, by least squares.

Every step of llama.cpp is one pass over its tokens, decoded ones and those of prompts, so the fixed
part is one term. Of a prompt of t tokens worked on alone, in steps of b tokens::

    TTFT        = ceil(t / b) * fixed + t * token + t² / 2 * pair
    median gap  = fixed + n * sequence + context * token of context

with n requests in the decode step. Rows are weighted so that relative errors count.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from replicore.engines.sim.steptime import StepTime


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """One request of a probe.

    Attributes:
        decoding: Requests of its replica that decode in the same step.
        ttft_s: None where the prompt was not worked on alone.
    """

    input_tokens: int
    output_tokens: int
    decoding: int
    gap_s: float
    ttft_s: float | None = None


def fit_steps(probed: Iterable[Probed], budget: int) -> StepTime:
    """Return the terms of a step, none below 0.

    Args:
        budget: Tokens of a step.
    """
    rows, targets = [], []
    for one in probed:
        context = one.decoding * (one.input_tokens + one.output_tokens / 2)
        rows.append([1.0, one.decoding, context, 0.0, 0.0])
        targets.append(one.gap_s)
        if one.ttft_s is not None:
            tokens = one.input_tokens
            rows.append([-(-tokens // budget), 0.0, 0.0, tokens, tokens * tokens / 2])
            targets.append(one.ttft_s)
    fixed, sequence, context_token, token, pair = _non_negative(np.array(rows), np.array(targets))
    return StepTime(
        decode_s=fixed,
        sequence_s=sequence,
        context_token_s=context_token,
        prefill_s=fixed,
        prompt_token_s=token,
        prompt_pair_s=pair,
    )


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
