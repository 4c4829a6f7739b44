"""The model that the ``sim`` engine serves: sizes, no files."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from replicore.engines.sim.tokenizer import VOCABULARY
from replicore.models.outline import outline
from replicore.models.shape import Model, ModelShape
from replicore.spec import ModelSpec, SimSpec

# No weights. Enough heads for any tp; the longest sequence is no more than a default.
_SHAPE = ModelShape(
    architecture="simulated",
    layers=1,
    hidden=64,
    heads=64,
    kv_heads=64,
    head_dim=1,
    vocab=VOCABULARY,
    max_model_len=1_048_576,
    weight_bytes=0,
)


def simulated_model(spec: ModelSpec, sim: SimSpec | None = None) -> Model:
    """Return what stands in for the model: the simulator needs no files.

    With a profile it has the sizes of the model that the spec names, since they say how long a step
    takes and which layouts fit.

    Raises:
        ConfigError: With a profile: ``spec`` names nothing that a model can be.
        ModelError: With a profile: the sizes of the model are not known.
    """
    if sim is not None and sim.profile is not None:
        return replace(outline(spec), path=Path(os.devnull))
    return Model(
        source="simulated",
        served_name=spec.served_name or "simulated",
        path=Path(os.devnull),
        shape=_SHAPE,
    )
