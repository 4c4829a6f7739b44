"""How the compiled model, or the compile cache, of a replica is made. Pure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from replicore.engines.command import Command
from replicore.engines.neuron.native import COMPILE_CACHE
from replicore.engines.recipe import Recipe, Stage, Value

# Ranks that wait for each other while they compile sometimes give up (aws-neuron-sdk #1369)
FLAKY = (r"tp_barrier",)

COMPILE_STAGES = (
    Stage(pattern=r"Loading configs", label="reading the model's configuration"),
    Stage(pattern=r"Generating HLOs for", label="tracing"),
    Stage(pattern=r"Starting compilation for the priority HLO", label="compiling decode"),
    Stage(pattern=r"Starting compilation for all HLOs", label="compiling"),
    Stage(pattern=r"Finished Compilation for all HLOs", label="saving the compiled model"),
    Stage(pattern=r"Sharding weights for ranks", label="sharding the weights"),
    Stage(pattern=r"Compiling and tracing time", label="finishing"),
)

START_STAGES = (
    Stage(pattern=r"Starting to load model|Loading safetensors", label="loading weights"),
    Stage(pattern=r"[Ww]arm(?:ing)?[ -]?up|Compiling", label="compiling"),
    Stage(pattern=r"Application startup complete", label="serving"),
)


def compiled_model(
    fields: dict[str, Value],
    command: Callable[[Path, Path], Command],
    *,
    sharded_ranks: int,
    timeout_s: float,
) -> Recipe:
    """Return the recipe of a model that must be compiled before a replica starts.

    Without it vLLM would compile in every replica, into one folder for all of them.

    Args:
        sharded_ranks: Ranks for which the weights are written; 0 where they are not.
    """
    shards = (f"weights/tp{rank}_sharded_checkpoint.safetensors" for rank in range(sharded_ranks))
    return Recipe(
        fields=fields,
        required=True,
        command=command,
        outputs=("neuron_config.json", "model.pt", *shards),
        stages=COMPILE_STAGES,
        flaky=FLAKY,
        timeout_s=timeout_s,
    )


def compile_cache(fields: dict[str, Value], *, timeout_s: float) -> Recipe:
    """Return the recipe of a cache that a replica fills by starting."""
    return Recipe(
        fields=fields,
        required=False,
        outputs=(f"{COMPILE_CACHE}/*",),
        stages=START_STAGES,
        flaky=FLAKY,
        timeout_s=timeout_s,
    )
