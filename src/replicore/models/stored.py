"""A model's anatomy against the size of its files, which is exact. Pure."""

from __future__ import annotations

from dataclasses import replace

from replicore.models.anatomy import Anatomy

# Below it, what was counted is not what is stored: a family that is put together in another way.
_LEAST_SHARE = 0.98

# No format has fewer bytes per parameter.
_FEWEST_BYTES = 0.2


def as_stored(
    anatomy: Anatomy, stored_bytes: int, *, is_multimodal: bool, has_draft: bool
) -> Anatomy | None:
    """Return the anatomy with the bytes that its files have; None where it is not their model's.

    What a multimodal model has beyond its text part is another part of it. What quantised files
    have more or less than reckoned is in their matrices: some layers are left out, or the format is
    not known. A module that drafts tokens, or an output layer stored twice, is not loaded.

    Args:
        has_draft: The files have a module that predicts several tokens.
    """
    beyond = stored_bytes - anatomy.weight_bytes
    if beyond > 0 and is_multimodal:
        return replace(anatomy, other=round(beyond / anatomy.weights.plain))
    if anatomy.weights.quantised and (beyond < 0 or not has_draft):
        return _fitted(anatomy, stored_bytes)
    return anatomy if stored_bytes >= _LEAST_SHARE * anatomy.weight_bytes else None


def _fitted(anatomy: Anatomy, stored_bytes: int) -> Anatomy | None:
    """Scale the bytes of quantised parts so that their sum is what is stored."""
    weights = anatomy.weights
    sizes = dict(weights.quantised)
    quantised = sum(p.parameters * sizes[p.name] for p in anatomy.parts if p.name in sizes)
    if quantised == 0:
        return anatomy
    scale = 1 + (stored_bytes - anatomy.weight_bytes) / quantised
    scaled = tuple((name, size * scale) for name, size in weights.quantised)
    if not all(_FEWEST_BYTES <= size <= weights.plain for _, size in scaled):
        return None
    return replace(anatomy, weights=replace(weights, quantised=scaled))
