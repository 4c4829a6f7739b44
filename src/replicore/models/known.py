"""The catalogue of widely served models, ``known.toml``: their sizes as published."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from replicore.models.shape import ModelShape
from replicore.wording import nearest


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
        name: _shape(entry)
        for entry in tomllib.loads(text)["models"]
        for name in entry["repositories"]
    }


@cache
def _catalogue() -> Mapping[str, ModelShape]:
    shapes = {name.lower(): shape for name, shape in known_models().items()}
    return {name.rpartition("/")[2]: shape for name, shape in shapes.items()} | shapes


def _shape(entry: Mapping[str, Any]) -> ModelShape:
    sizes = {key: value for key, value in entry.items() if key != "repositories"}
    return ModelShape(**{"file_format": "safetensors", **sizes})
