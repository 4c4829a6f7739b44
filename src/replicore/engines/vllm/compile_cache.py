"""What vLLM compiles at its first start, and keeps below ``VLLM_CACHE_ROOT`` for the next. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replicore.engines.engine import ReplicaPlan
from replicore.engines.recipe import Recipe, Stage
from replicore.hardware.machine import Machine

if TYPE_CHECKING:
    from replicore.engines.vllm.installation import Installation
    from replicore.spec import EngineSpec

TIMEOUT_S = 3600.0

_STAGES = (
    Stage(pattern=r"Starting to load model|Loading safetensors", label="loading weights"),
    Stage(pattern=r"torch\.compile|Dynamo bytecode|Warming up model", label="compiling"),
    Stage(pattern=r"Capturing CUDA graph|Graph capturing", label="capturing graphs"),
    Stage(pattern=r"Application startup complete", label="serving"),
)


def compile_cache_recipe(
    replica: ReplicaPlan, machine: Machine, spec: EngineSpec, found: Installation | None
) -> Recipe:
    """Return the recipe of a cache that a replica fills by starting.

    Args:
        found: What the environment has; None where it was not asked, as for a plan to print.
    """
    return Recipe(
        fields={
            "model.source": replica.model.source,
            "model.revision": replica.model.revision,
            "layout.tp": replica.tp,
            "layout.batch_size": replica.batch_size,
            "layout.max_model_len": replica.max_model_len,
            "engine.args": list(spec.args),
            "engine.vllm.dtype": spec.vllm.dtype,
            "engine.vllm.cores_per_rank": spec.vllm.cores_per_rank,
            "vllm": found.version if found else None,
            "torch": found.torch if found else None,
            "platform": f"{machine.kind}: {machine.name}",
        },
        required=False,
        stages=_STAGES,
        timeout_s=TIMEOUT_S,
    )
