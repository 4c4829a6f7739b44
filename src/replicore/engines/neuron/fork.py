"""AWS's fork of vLLM. Pure.

Source: SDK libraries/nxd-inference/developer_guides/vllm-user-guide.rst; the AWS tutorial.
"""

from __future__ import annotations

from collections.abc import Mapping

from replicore.engines.engine import EngineTraits, ReplicaPlan
from replicore.engines.neuron.compiled import compiled_model_environment
from replicore.engines.neuron.generation import Generation
from replicore.engines.neuron.override import override_neuron_config, to_json
from replicore.spec.tables import NeuronSpec


def _options(spec: NeuronSpec, chosen: Mapping[str, str]) -> tuple[str, ...]:
    # The tutorial's --use-v2-block-manager has no effect, and later forks do not have it. Prompts
    # are in the fork's log unless it is told to leave them out.
    quiet = () if "--disable-log-requests" in chosen else ("--disable-log-requests",)
    override = to_json(override_neuron_config(spec))
    return ("--device", "neuron", "--override-neuron-config", override, *quiet)


def _environment(replica: ReplicaPlan, spec: NeuronSpec) -> dict[str, str]:
    # The fork of 0.9 would take the engine that it has no Neuron code for.
    return {"VLLM_USE_V1": "0", **compiled_model_environment(replica)}


FORK = Generation(
    name="fork",
    platforms=frozenset({"inf2", "trn1", "trn2"}),
    traits=EngineTraits(forgets_penalties=True, reuse_port=False),
    compiles_ahead=True,
    options=_options,
    environment=_environment,
)
