"""The plugin for vLLM with its own models. It compiles when it starts, into a cache. Pure.

Source: SDK vllm-neuron/docs: getting-started/migration-nxdi-to-vllm-neuron.md,
guides/reference-configuration.md, design/compilation/compilation_cache.md.
"""

from __future__ import annotations

from collections.abc import Mapping

from replicore.engines.engine import ReplicaPlan
from replicore.engines.known import VLLM
from replicore.engines.neuron.generation import Generation
from replicore.engines.neuron.override import to_json
from replicore.engines.recipe import Value
from replicore.engines.vllm.launch import default_arguments
from replicore.spec.tables import NeuronSpec

# The first vLLM that it works with
_RELEASE = (0, 21, 0)

# Below VLLM_CACHE_ROOT
COMPILE_CACHE = "neuron/compile_cache"


def neuron_config(spec: NeuronSpec) -> dict[str, Value]:
    """Return ``neuron_config``: sampling on the device, then ``engine.neuron.config``."""
    sampling: dict[str, Value] = {} if spec.on_device_sampling.do_sample else {"all_greedy": True}
    return {"on_device_sampling_config": sampling, **spec.config}


def _options(spec: NeuronSpec, chosen: Mapping[str, str]) -> tuple[str, ...]:
    config = to_json({"neuron_config": neuron_config(spec)})
    dtype = () if spec.dtype == "bfloat16" else ("--dtype", spec.dtype)
    return (*dtype, "--additional-config", config, *default_arguments(_RELEASE, chosen))


def _environment(replica: ReplicaPlan, spec: NeuronSpec) -> dict[str, str]:
    timeout = str(round(spec.compile_timeout))
    return {
        "NEURON_VISIBLE_DEVICES": str(replica.cores),
        "VLLM_NEURON_COMPILATION_TIMEOUT": timeout,
        "VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS": timeout,
    }


NATIVE = Generation(
    name="native",
    platforms=frozenset({"trn2", "trn3"}),
    traits=VLLM,
    compiles_ahead=False,
    options=_options,
    environment=_environment,
)
