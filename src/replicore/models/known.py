"""The catalogue of widely served models, ``known.toml``: their sizes as published."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from importlib.resources import files
from typing import Any

from replicore.models.anatomy import Anatomy
from replicore.models.parts import (
    Experts,
    LatentAttention,
    LinearAttention,
    WeightFormat,
    Window,
)
from replicore.models.shape import ModelShape
from replicore.wording import nearest

_TABLES = {
    "experts": Experts,
    "latent": LatentAttention,
    "window": Window,
    "linear": LinearAttention,
}


def find_known(name: str) -> ModelShape | None:
    """Return the shape of a model by its repository, or by the repository's last part.

    A folder is usually named after the last part, and letter case is no difference on the hub.
    """
    return _catalogue().get(name.lower())


def nearest_known(name: str) -> str | None:
    """Return the repository whose name is close to ``name``."""
    return nearest(name, known_models())


@cache
def known_models() -> Mapping[str, ModelShape]:
    """Return all shapes by their repository."""
    text = files("replicore.models").joinpath("known.toml").read_text(encoding="utf-8")
    return {
        name: shape
        for entry in tomllib.loads(text)["models"]
        for shape in [_shape(entry)]
        for name in entry["repositories"]
    }


@cache
def _catalogue() -> Mapping[str, ModelShape]:
    shapes = {name.lower(): shape for name, shape in known_models().items()}
    return {name.rpartition("/")[2]: shape for name, shape in shapes.items()} | shapes


def _shape(entry: Mapping[str, Any]) -> ModelShape:
    sizes = _only(entry, ModelShape)
    return ModelShape(**{"file_format": "safetensors", **sizes, "anatomy": _anatomy(entry)})


def _anatomy(entry: Mapping[str, Any]) -> Anatomy:
    values = _only(entry, Anatomy)
    for name, kind in _TABLES.items():
        if name in values:
            values[name] = kind(**values[name])
    if "weights" in values:
        values["weights"] = _weight_format(**values["weights"])
    return Anatomy(**values)


def _weight_format(*, quantised: Mapping[str, float], **values: Any) -> WeightFormat:
    return WeightFormat(quantised=tuple(quantised.items()), **values)


def _only(entry: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """Return the values of the entry that are fields of a dataclass."""
    names = {field.name for field in fields(kind)}
    return {key: value for key, value in entry.items() if key in names}
