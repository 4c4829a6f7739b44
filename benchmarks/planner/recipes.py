"""How published series started their engines, where it changes what was measured.

InferenceX's launch scripts are public (SemiAnalysisAI/InferenceX, ``benchmarks/``): the rows do not
have these options, and TTFT cannot be understood without.
"""

from __future__ import annotations

from replicore.hardware.device import Device
from replicore.planner.step.traffic import Traffic

# In the notes of its rows: lengths are drawn uniformly from 80 to 100 % of the nominal ones.
INFERENCEX = "InferenceX"
MEAN_LENGTH = 0.9

_SHORT_TOKENS = 1024

# Blackwell's script for vLLM has ``kv-cache-dtype: fp8``.
_KV_8_BITS = ("b200", "b300", "gb200")


def is_inferencex(notes: str) -> bool:
    return INFERENCEX in notes


def wait_steps(engine: str, tp: int, traffic: Traffic) -> int:
    """Return TensorRT-LLM's ``batch_wait_timeout_iters`` in the scripts for dense models.

    Source: 70b_fp8_h200_trt_slurm.sh and those for B200: 20 with 1024 tokens in and out on fewer
    than 8 GPUs, nothing otherwise.
    """
    longest = max(traffic.input_tokens, traffic.output_tokens)
    is_short = longest <= _SHORT_TOKENS and traffic.input_tokens == traffic.output_tokens
    return 20 if engine == "trtllm" and tp < 8 and is_short else 0


def kv_bytes(engine: str, device: Device, stored: float) -> float:
    """Return the bytes of a key or a value in the KV cache.

    Source: 70b_fp8_b200_docker.sh.
    """
    return 1.0 if engine == "vllm" and device.key in _KV_8_BITS else stored
