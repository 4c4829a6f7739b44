"""In how many bytes a published run keeps weights and KV cache, by how its source writes it."""

from __future__ import annotations

from replicore.hardware.device import Device
from replicore.models.formats import in_format
from replicore.models.infer import anatomy_of
from replicore.models.shape import ModelShape
from replicore.planner.step.precision import Precision

# What the column ``precision`` has in it, the first that is found, and the format of weights.
# int8 and int4 are of weights alone, and so is what of gpt-oss is in 4 bits: its experts.
_FORMATS = (
    ("fp8_block", "fp8-block"),
    ("mxfp4", "mxfp4"),
    ("fp4", "nvfp4"),
    ("fp8", "fp8"),
    ("int8", "int8"),
    ("int4", "int4"),
    ("q8_0", "q8_0"),
    ("q4_0", "q4_0"),
    ("fp32", "fp32"),
    ("bf16", "bf16"),
    ("fp16", "bf16"),
)
_COMPUTE_BITS = {"fp8-block": 8, "fp8": 8, "nvfp4": 4, "mxfp4": 4}

# TensorRT-LLM keeps the KV cache in 8 bits where weights have no more; others unless asked to.
_KV_FOLLOWS_WEIGHTS = ("trtllm",)


def shape_and_precision(
    text: str, shape: ModelShape, engine: str, device: Device
) -> tuple[ModelShape, Precision]:
    """Return a model in the format that ``text`` tells; by its own files where it tells none."""
    wanted = next((name for word, name in _FORMATS if word in text.lower()), None)
    # gpt-oss is published with experts in mxfp4, whatever a row calls that.
    if anatomy_of(shape).weights.name != "mxfp4" and wanted is not None:
        shape = in_format(shape, wanted)
    name = anatomy_of(shape).weights.name
    bits = _compute_bits(name, device)
    follows = bits < 16 and engine in _KV_FOLLOWS_WEIGHTS and name != "mxfp4"
    return shape, Precision(kv_bytes=1.0 if follows else 2.0, compute_bits=bits)


def _compute_bits(name: str, device: Device) -> int:
    bits = _COMPUTE_BITS.get(name, 16)
    has_4 = device.flops_4 > device.flops_8
    if bits == 4 and not has_4:
        return 16
    return bits if device.flops(bits) > device.flops_16 else 16
