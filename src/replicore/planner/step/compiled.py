"""What a model becomes when it is compiled for so many ranks: padded. Pure.

Compiled graphs have the same shape on every rank, so what does not divide is filled up, and the
padding is read and multiplied like the rest.
"""

from __future__ import annotations

from dataclasses import replace

from replicore.models.anatomy import Anatomy

# Rows and columns of the array that multiplies matrices.
_LANES = 128


def compiled_anatomy(anatomy: Anatomy, tp: int) -> Anatomy:
    """Return the sizes that ``tp`` ranks have together.

    Query heads are padded to a multiple of the ranks. Keys and values are copied where there are
    fewer of them than ranks, but get as many heads as queries where these were padded, or where
    neither number divides the other. A rank's slice of an expert is padded to whole lanes.

    Source: AWS's tables at TP 24, whose times fit no other reading; NxD Inference, ``gqa.py``.
    """
    heads = _up(anatomy.heads, tp)
    copied = anatomy.kv_heads % tp == 0 or tp % anatomy.kv_heads == 0
    kv_heads = anatomy.kv_heads if copied and heads == anatomy.heads else heads
    experts = anatomy.experts
    if experts is not None:
        experts = replace(experts, intermediate=_up(experts.intermediate, tp * _LANES))
    return replace(anatomy, heads=heads, kv_heads=kv_heads, experts=experts)


def prefilled_anatomy(compiled: Anatomy) -> Anatomy:
    """Return the sizes that a prompt goes through: every token goes through every expert."""
    if compiled.experts is None:
        return compiled
    experts = replace(compiled.experts, per_token=compiled.experts.count)
    return replace(compiled, experts=experts)


def selected_parameters(compiled: Anatomy, tp: int) -> float:
    """Return the parameters of the experts that one token chooses, on one of ``tp`` ranks."""
    routed = [part for part in compiled.parts if part.of > 1]
    return sum(part.active * part.share(tp) for part in routed)


def _up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple
