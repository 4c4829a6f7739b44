"""The weights of one rank as they lie in a GPU's memory."""

from __future__ import annotations

from dataclasses import replace

from replicore.models.anatomy import Anatomy
from replicore.models.infer import anatomy_of
from replicore.models.parts import Part
from replicore.models.shape import ModelShape

# Kernels for mxfp4 pad the width of experts; measured for gpt-oss: 2880 is loaded as 3072.
_MXFP4_STEP = 256

_FIRST_STAGE = ("embedding", "positions", "other")
_LAST_STAGE = ("head",)
_ROPE_BYTES = 2


def loaded_weight_bytes(
    shape: ModelShape, *, tp: int, pp: int = 1, weight_bytes_per_param: float | None = None
) -> int:
    """Return the weights of the fullest rank, with the table of rotary positions.

    With pipeline stages: the stage with the most layers, and the larger of what the first has
    before its layers and the last after them.

    Args:
        pp: Pipeline stages.
        weight_bytes_per_param: See :meth:`Anatomy.rank_weight_bytes`.
    """
    model = padded(anatomy_of(shape))
    weights = model.format_with(weight_bytes_per_param)

    def size(part: Part) -> float:
        return part.parameters * part.share(tp) * weights.bytes_of(part.name)

    ends = (*_FIRST_STAGE, *_LAST_STAGE)
    first = sum(size(part) for part in model.parts if part.name in _FIRST_STAGE)
    last = sum(size(part) for part in model.parts if part.name in _LAST_STAGE)
    layers = sum(size(part) for part in model.parts if part.name not in ends)
    stage = layers * -(-model.layers // pp) / model.layers
    return round(stage + (first + last if pp == 1 else max(first, last))) + rope_bytes(shape, model)


def rope_bytes(shape: ModelShape, model: Anatomy) -> int:
    """Return the table of sines and cosines, one row for each position the model was trained for.

    max_model_len x rotary width x 2 bytes; every rank has it.
    """
    if model.positions:
        return 0
    width = model.latent.rope_dim if model.latent is not None else model.head_dim
    return shape.max_model_len * width * _ROPE_BYTES


def padded(model: Anatomy) -> Anatomy:
    """Return the model with experts as wide as kernels for mxfp4 load them."""
    moe = model.experts
    if moe is None or model.weights.name != "mxfp4":
        return model
    width = -(-moe.intermediate // _MXFP4_STEP) * _MXFP4_STEP
    return replace(model, experts=replace(moe, intermediate=width))
