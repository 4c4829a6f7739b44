"""The plugin for vLLM on NxD Inference. Pure.

Source: SDK libraries/nxd-inference/developer_guides/vllm-user-guide-v1.rst; the plugin's
``platform.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from replicore.engines.engine import ReplicaPlan
from replicore.engines.known import VLLM
from replicore.engines.neuron.compiled import compiled_model_environment
from replicore.engines.neuron.generation import Generation
from replicore.engines.neuron.override import override_neuron_config, to_json
from replicore.engines.vllm.launch import default_arguments
from replicore.spec.tables import NeuronSpec

# The first vLLM that it works with
_RELEASE = (0, 11, 0)


def _options(spec: NeuronSpec, chosen: Mapping[str, str]) -> tuple[str, ...]:
    # Some pages of AWS write "override-neuron-config", which the plugin does not read.
    override = to_json({"override_neuron_config": override_neuron_config(spec)})
    # vLLM's default is a prefix cache, for which the model must have been compiled otherwise.
    contiguous = () if "--enable-prefix-caching" in chosen else ("--no-enable-prefix-caching",)
    return (*contiguous, "--additional-config", override, *default_arguments(_RELEASE, chosen))


def _environment(replica: ReplicaPlan, spec: NeuronSpec) -> dict[str, str]:
    return compiled_model_environment(replica)


NXDI = Generation(
    name="nxdi",
    platforms=frozenset({"inf2", "trn1", "trn2"}),
    traits=replace(VLLM, prefix_cache=False),
    compiles_ahead=True,
    options=_options,
    environment=_environment,
)
