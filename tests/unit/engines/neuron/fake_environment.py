"""Environments with vLLM for Neuron, without any of their packages."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

from replicore.engines.neuron.installed import PACKAGES

FORK = {
    "vllm": "0.7.2+neuron219",
    "neuronx-distributed-inference": "0.3.5591",
    "neuronx-cc": "2.18",
}
NXDI = {"vllm": "0.11.0", "vllm-neuron": "0.2.0", "neuronx-distributed-inference": "0.6.10598"}
NATIVE = {"vllm": "0.24.0", "vllm-neuron": "0.24.0.1.1.0", "libtorch-neuronx-lite": "1.1"}

# Options of vLLM that the tests give to engine.args
_VLLM_HELP = """
  --tensor-parallel-size N
  --block-size N
  --enable-prefix-caching
  --num-gpu-blocks-override N
"""

# Of every version of NxD Inference's inference_demo.py, from 0.1 to 0.9; "=" takes a value, "+"
# takes several
_ALWAYS = """
model-path= compiled-model-path= benchmark check-accuracy-mode= prompt= top-k= top-p= temperature=
global-topk= do-sample dynamic pad-token-id= torch-dtype= batch-size= padding-side= seq-len=
n-active-tokens= n-positions= max-context-length= max-new-tokens= max-length= rpl-reduce-dtype=
output-logits vocab-parallel fused-qkv sequence-parallel-enabled flash-decoding-enabled
ctx-batch-size= tkg-batch-size= max-batch-size= is-continuous-batching on-device-sampling
enable-bucketing bucket-n-active-tokens context-encoding-buckets+ token-generation-buckets+
quantized quantized-checkpoints-path= quantization-type= quantization-dtype= kv-cache-quant
draft-model-path= speculation-length= tp-degree= pp-degree= ep-degree= world-size= start_rank_id=
local_ranks_size= enable-torch-dist enable-lora max-loras= max-lora-rank= target-modules+
qkv-kernel-enabled mlp-kernel-enabled quantized-mlp-kernel-enabled logical-neuron-cores=
cc-pipeline-tiling-factor= skip-compile compile-only hlo-debug
"""

# What came and went, by its tags 0.1.0, 0.3.5591 and the main branch
_SINCE_0_3 = """
logical-nc-config= skip-sharding allow-input-truncation async-mode save-sharded-checkpoint
compile-dry-run skip-warmup on-cpu pa-num-blocks= pa-block-size= enable-prefix-caching
"""
DEMO_FLAGS: Mapping[str, str] = {
    "0.1": _ALWAYS + "attn-kernel-enabled skip-save-sharded-checkpoint async",
    "0.3": _ALWAYS + _SINCE_0_3 + "attn-kernel-enabled attn-tkg-nki-kernel-enabled",
    "0.9": _ALWAYS
    + _SINCE_0_3
    + "cp-degree= max-num-seqs= benchmark-report-path= attention-dp-degree= moe-tp-degree= "
    + "moe-ep-degree= windowed-context-encoding-size= kv-quant-dtype= attn-kernel-enabled!",
}


def demo_help(version: str) -> str:
    """What ``inference_demo run --help`` prints."""
    parser = argparse.ArgumentParser(prog="inference_demo run")
    for word in DEMO_FLAGS[version].split():
        flag = f"--{word.rstrip('=+!')}"
        if word.endswith("="):
            parser.add_argument(flag)
        elif word.endswith("+"):
            parser.add_argument(flag, nargs="+")
        elif word.endswith("!"):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction)
        else:
            parser.add_argument(flag, action="store_true", help="See --no-such-flag.")
    return parser.format_help()


def environment(
    root: Path,
    versions: Mapping[str, str],
    *,
    platform_file: bool = False,
    demo: str | None = None,
) -> Path:
    """Make an environment; return its interpreter, which answers what replicore asks.

    Args:
        platform_file: Whether its vLLM has a file for Neuron, as the fork's has.
        demo: The version of NxD Inference whose ``inference_demo`` it has.
    """
    answer = {
        "python": "3.10",
        "versions": {name: versions.get(name) for name in PACKAGES},
        "platform_file": platform_file,
    }
    files = {"answer.json": json.dumps(answer), "vllm.txt": _VLLM_HELP}
    scripts = {"python": 'if [ "$1" = -c ]; then cat answer.json; else cat vllm.txt; fi'}
    if demo is not None:
        files["demo.txt"] = demo_help(demo)
        scripts["inference_demo"] = 'if [ "$*" = "run --help" ]; then cat demo.txt; fi'
    root.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (root / name).write_text(text)
    for name, line in scripts.items():
        (root / name).write_text(f'#!/bin/sh\ncd "$(dirname "$0")"\n{line}\n')
        (root / name).chmod(0o755)
    return root / "python"
