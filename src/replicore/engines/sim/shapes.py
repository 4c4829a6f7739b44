"""The model that a simulator takes the time of: by its name, or by its sizes. Pure."""

from __future__ import annotations

from dataclasses import replace

from replicore.errors import ConfigError
from replicore.models.shape import ModelShape
from replicore.wording import nearest, quoted

# Sizes as published in each model's config.json; weights at 16 bits.
SHAPES = {
    "llama-8b": ModelShape(
        architecture="llama",
        layers=32,
        hidden=4096,
        heads=32,
        kv_heads=8,
        head_dim=128,
        vocab=128_256,
        max_model_len=131_072,
        weight_bytes=2 * 8_030_261_248,
    ),
    "llama-70b": ModelShape(
        architecture="llama",
        layers=80,
        hidden=8192,
        heads=64,
        kv_heads=8,
        head_dim=128,
        vocab=128_256,
        max_model_len=131_072,
        weight_bytes=2 * 70_553_706_496,
    ),
}
DEFAULT_SHAPE = "llama-8b"

# What the time of a step depends on.
_KEYS = ("layers", "heads", "kv_heads", "head_dim", "weight_bytes")


def parse_shape(text: str) -> ModelShape:
    """Return the shape of a name in :data:`SHAPES`, or of ``layers=32,heads=32,...``.

    Raises:
        ConfigError: An unknown name or key, a missing key, or a value that is no number.
    """
    if "=" not in text:
        return _named(text)
    sizes = dict(map(_size, text.split(",")))
    missing = [key for key in _KEYS if key not in sizes]
    if missing:
        raise ConfigError(f"--shape: {', '.join(missing)} missing in {quoted(text)}")
    return replace(SHAPES[DEFAULT_SHAPE], architecture="given", **sizes)  # type: ignore[arg-type]


def shape_text(shape: ModelShape) -> str:
    """Return what :func:`parse_shape` reads as a shape of the same steps."""
    return ",".join(f"{key}={getattr(shape, key)}" for key in _KEYS)


def _named(name: str) -> ModelShape:
    if name in SHAPES:
        return SHAPES[name]
    near = nearest(name, SHAPES)
    suggestion = f"; did you mean {quoted(near)}?" if near else ""
    valid = f"{', '.join(SHAPES)}, or sizes: {'=..,'.join(_KEYS)}=.."
    raise ConfigError(f"--shape: {quoted(name)} is unknown (valid: {valid}){suggestion}")


def _size(text: str) -> tuple[str, int]:
    key, _, value = text.partition("=")
    if key not in _KEYS:
        near = nearest(key, _KEYS)
        suggestion = f"; did you mean {near}?" if near else ""
        raise ConfigError(f"--shape: there is no size {quoted(key)}{suggestion}")
    if not value.isascii() or not value.isdigit() or int(value) == 0:
        raise ConfigError(f"--shape: {key}: {quoted(value)} is not a whole number from 1")
    return key, int(value)
