"""The configuration that vLLM hands on to NxD Inference. Pure.

It decides when vLLM compiles a model itself. With a compiled one the plugin ignores it; the fork
sets its values on the compiled configuration, so they must be those that were compiled.
"""

from __future__ import annotations

import json

from replicore.engines.recipe import Value
from replicore.spec.tables import NeuronSpec


def override_neuron_config(spec: NeuronSpec) -> dict[str, Value]:
    """Return ``override_neuron_config``: how tokens are sampled, then ``engine.neuron.config``."""
    sampling = spec.on_device_sampling
    if not sampling.override:
        return dict(spec.config)
    config: dict[str, Value] = {
        "do_sample": sampling.do_sample,
        "global_topk": sampling.global_topk,
    }
    if sampling.dynamic:
        config["dynamic"] = True
    return {"on_device_sampling_config": config, **spec.config}


def to_json(value: Value) -> str:
    """Return ``value`` as an argument, spaced as in AWS's documents."""
    return json.dumps(value)
