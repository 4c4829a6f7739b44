"""A model's anatomy where only its shape is known. Pure."""

from __future__ import annotations

from dataclasses import replace

from replicore.models.anatomy import BF16, Anatomy
from replicore.models.parts import WeightFormat
from replicore.models.shape import ModelShape

# Widths of MLPs are multiples of it.
_STEP = 64
_SLACK = 1.0

# Stored bytes per parameter, by the file format; 4.85 bits is Q4_K_M, the usual choice
_BYTES_PER_PARAMETER = {"gguf": 0.61}


def anatomy_of(shape: ModelShape) -> Anatomy:
    """Return the shape's anatomy, or that of a dense model which has the shape's weight bytes.

    The MLP is what embedding, output layer and attention leave of the weights. The output layer is
    taken to be tied where the MLP then is of a usual width, and where there is no room for it.
    """
    if shape.anatomy is not None:
        return shape.anatomy
    untied, tied = _dense(shape, tied=False), _dense(shape, tied=True)
    wide, narrow = _mlp_width(shape, tied), _mlp_width(shape, untied)
    is_tied = narrow < shape.hidden or (_is_usual(wide) and not _is_usual(narrow))
    dense, width = (tied, wide) if is_tied else (untied, narrow)
    return _with_mlp(shape, dense, max(shape.hidden, round(width / _STEP) * _STEP))


def _dense(shape: ModelShape, *, tied: bool) -> Anatomy:
    """Return the model without its MLPs."""
    return Anatomy(
        layers=shape.layers,
        hidden=shape.hidden,
        heads=shape.heads,
        kv_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        vocab=shape.vocab,
        intermediate=0,
        tied=tied,
    )


def _mlp_width(shape: ModelShape, empty: Anatomy) -> float:
    bytes_per_parameter = _BYTES_PER_PARAMETER.get(shape.file_format or "", BF16.plain)
    left = shape.weight_bytes / bytes_per_parameter - empty.parameters
    return left / (empty.mlp_matrices * shape.layers * shape.hidden)


def _is_usual(width: float) -> bool:
    """Whether a width is a multiple of the step; biases and headers make it a little more."""
    return 0 <= width % _STEP <= _SLACK


def _with_mlp(shape: ModelShape, empty: Anatomy, width: int) -> Anatomy:
    """Return the model with MLPs, and with the bytes that the shape has."""
    dense = replace(empty, intermediate=width)
    weights = WeightFormat(name="unknown", plain=shape.weight_bytes / dense.parameters)
    return replace(dense, weights=weights)
