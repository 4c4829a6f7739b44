"""In how many bytes a spec's engine keeps weights, keys and values, and how it multiplies."""

from __future__ import annotations

from replicore.deploy.deployment import Prepared
from replicore.engines import llamacpp_options
from replicore.engines.llamacpp_memory import kv_element_bytes
from replicore.engines.vllm import options as vllm_options
from replicore.engines.vllm.memory import element_bytes
from replicore.models.infer import anatomy_of
from replicore.planner.step.precision import Precision

# Formats whose activations are quantised as well, so that matrices are multiplied in so many bits.
_COMPUTE_BITS = {"fp8": 8, "nvfp4": 4}

# Where vLLM quantises what it loads: bytes of a parameter, and bits of the arithmetic.
_QUANTIZED = {"fp8": (1.0, 8), "bitsandbytes": (0.56, 16)}

_WIDE = ("float32", "float")


def precision_of(prepared: Prepared) -> Precision:
    engine = prepared.spec.engine
    stored = anatomy_of(prepared.model.shape).weights.name
    bits = _COMPUTE_BITS.get(stored, 16)
    if engine.kind == "vllm":
        options = vllm_options.parse_options(engine.args)
        name = options.get("--quantization", options.get("-q", ""))
        wide = 4.0 if engine.vllm.dtype in _WIDE else None
        weights, bits = _QUANTIZED.get(name, (wide, bits))
        kv = element_bytes(engine.vllm.dtype, options)
        return Precision(weight_bytes=weights, kv_bytes=kv, compute_bits=bits)
    if engine.kind == "neuron" and engine.neuron.dtype in _WIDE:
        return Precision(weight_bytes=4.0, kv_bytes=4.0)
    if engine.kind == "llamacpp":
        options = llamacpp_options.parse_options(engine.args)
        return Precision(kv_bytes=kv_element_bytes(options))
    return Precision(compute_bits=bits)
