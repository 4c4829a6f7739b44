"""The memory that vLLM sets aside for its largest step, measured by a trial step at start.

The trial step has ``max_num_batched_tokens`` tokens and samples for ``max_num_seqs`` sequences. Its
peak is the larger of two moments: in a layer, the widest MLP; after the last, the logits of all
sequences, their copies in 32 bits and what sorts them, next to the hidden states of all tokens.
Neither falls with tp as weights do: logits are gathered on each rank.
"""

from __future__ import annotations

from dataclasses import dataclass

from replicore.models.anatomy import Anatomy

Version = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampler:
    """What sampling takes.

    Attributes:
        logit_bytes: Per sequence and entry of the vocabulary.
        hidden_bytes: Per token and value of the hidden state.
        keeps_workspace: The experts' workspace is kept between steps.
    """

    logit_bytes: float
    hidden_bytes: float
    keeps_workspace: bool


# Fitted on rows of planner_memory_rows.csv; `python -m benchmarks.planner.memory` fits them again
# without the model that is predicted.
SAMPLER_UNTIL_0_16 = Sampler(logit_bytes=38.1, hidden_bytes=3.4, keeps_workspace=False)
SAMPLER_SINCE_0_17 = Sampler(logit_bytes=14.8, hidden_bytes=3.4, keeps_workspace=True)

# Activations have 16 bits.
_BYTES = 2
# Hidden state, residual, their sum and attention's output are there next to the MLP's.
_HIDDEN_COPIES = 4


def sampler_of(version: Version) -> Sampler:
    """Return the sampler of a version of vLLM, such as ``(0, 19)``."""
    return SAMPLER_SINCE_0_17 if version >= (0, 17) else SAMPLER_UNTIL_0_16


def activation_bytes(
    model: Anatomy, *, tp: int, sequences: int, tokens: int, sampler: Sampler = SAMPLER_SINCE_0_17
) -> int:
    """Return max(layer, sampling) + workspace, in bytes of one rank.

    sampling = logit_bytes x sequences x V + hidden_bytes x tokens x h

    Args:
        sequences: ``max_num_seqs``.
        tokens: ``max_num_batched_tokens``.
    """
    sampled = min(sequences, tokens)
    sampling = sampler.logit_bytes * sampled * model.vocab
    sampling += sampler.hidden_bytes * tokens * model.hidden
    workspace = tokens * expert_bytes_per_token(model, tp)
    if sampler.keeps_workspace:
        return round(max(tokens * layer_bytes_per_token(model, tp), sampling) + workspace)
    return round(max(tokens * layer_bytes_per_token(model, tp) + workspace, sampling))


def layer_bytes_per_token(model: Anatomy, tp: int) -> float:
    """Return what one token takes in the widest dense layer of a rank.

    2 bytes x (m f / T + 4 h): m matrices of the MLP each have a row as wide as it, the gate's and
    the first one's output and their product.
    """
    has_mlp = model.experts is None or model.experts.layers < model.layers
    width = model.mlp_matrices * model.intermediate / tp if has_mlp else 0.0
    return _BYTES * (width + _HIDDEN_COPIES * model.hidden)


def expert_bytes_per_token(model: Anatomy, tp: int) -> float:
    """Return what one token takes in the workspace of the fused experts of a rank.

    2 bytes x (k (max(2 f_e / T, h) + f_e / T) + h): what goes in and comes out of each of the k
    experts share memory; what is between them does not; then there is their sum.

    Source: vLLM, ``fused_moe.py``, the shapes of its caches.
    """
    if model.experts is None:
        return 0.0
    width = model.experts.intermediate / tp
    each = max(2 * width, model.hidden) + width
    return _BYTES * (model.experts.per_token * each + model.hidden)
