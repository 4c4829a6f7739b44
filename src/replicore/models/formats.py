"""A model's sizes once its weights are in another format. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from replicore.errors import ConfigError
from replicore.models.anatomy import BF16, MATRICES, Anatomy
from replicore.models.config_weights import FP8_BLOCK, MXFP4, NVFP4
from replicore.models.infer import anatomy_of
from replicore.models.parts import WeightFormat
from replicore.models.shape import ModelShape
from replicore.wording import listed, quoted

# Embedding, output layer, norms and router keep 16 bits in all of them.
_EXPERTS_ONLY = ("experts",)
_BESIDES_ATTENTION = ("mlp", "experts", "shared")


def _format(name: str, size: float, group: int = 1) -> WeightFormat:
    return WeightFormat(name=name, quantised=tuple((part, size) for part in MATRICES), group=group)


# int4 is AWQ's and GPTQ's usual: groups of 128 with a scale of 2 bytes and a zero point.
FORMATS: Mapping[str, WeightFormat] = MappingProxyType(
    {
        "bf16": BF16,
        "fp32": WeightFormat(name="fp32", plain=4.0),
        "fp8": _format("fp8", 1.0),
        "fp8-block": _format("fp8-block", FP8_BLOCK, 128),
        "int8": _format("int8", 1.0),
        "int4": _format("int4", 0.5 + 2.5 / 128, 128),
        "nvfp4": _format("nvfp4", NVFP4, 16),
        "mxfp4": _format("mxfp4", MXFP4, 32),
        "q8_0": _format("q8_0", 34 / 32, 32),
        "q4_0": _format("q4_0", 18 / 32, 32),
    }
)


def in_format(shape: ModelShape, name: str) -> ModelShape:
    """Return the shape of the same model with weights in one of :data:`FORMATS`.

    A shape that is stored in it already stays as it is, and one with fewer bits too: nothing makes
    a 4-bit model larger.

    Raises:
        ConfigError: No such format.
    """
    wanted = FORMATS.get(name.lower())
    if wanted is None:
        raise ConfigError(f"weights: {quoted(name)} is no format ({listed(FORMATS)})")
    anatomy = anatomy_of(shape)
    formatted = replace(anatomy, weights=_limited(wanted, anatomy))
    if anatomy.weights.quantised and formatted.weight_bytes >= anatomy.weight_bytes:
        return shape
    return replace(shape, weight_bytes=formatted.weight_bytes, anatomy=formatted)


def _limited(weights: WeightFormat, anatomy: Anatomy) -> WeightFormat:
    """Leave out what published files do: mxfp4 is of experts, nvfp4 not of latent attention."""
    parts: tuple[str, ...] | None = None
    if weights.name == "mxfp4" and anatomy.experts is not None:
        parts = _EXPERTS_ONLY
    if weights.name == "nvfp4" and anatomy.latent is not None:
        parts = _BESIDES_ATTENTION
    if parts is None:
        return weights
    return replace(weights, quantised=tuple(p for p in weights.quantised if p[0] in parts))
