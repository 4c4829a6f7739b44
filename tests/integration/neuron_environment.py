"""Environments with vLLM for Neuron, without any of its packages.

Its ``inference_demo`` writes what NxD Inference writes; its vLLM is the simulator, which first
writes down the variables that it was started with.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.integration.fake_inference_demo import trace, write_model, write_weights
from tests.unit.engines.neuron.fake_environment import FORK, demo_help, environment

ROOT = Path(__file__).parents[2]

# Llama with sizes that are quick to have
CONFIG = {
    "model_type": "llama",
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "num_attention_heads": 8,
    "num_key_value_heads": 8,
    "vocab_size": 128,
    "max_position_embeddings": 2048,
}

_VLLM_TO_SIM = {
    "--host": "--host",
    "--port": "--port",
    "--served-model-name": "--model",
    "--max-num-seqs": "--slots",
    "--max-model-len": "--max-model-len",
}


def make_model(folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    header = json.dumps({"w": {"dtype": "U8", "shape": [8], "data_offsets": [0, 8]}}).encode()
    data = struct.pack("<Q", len(header)) + header + b"\0" * 8
    (folder / "model.safetensors").write_bytes(data)
    return folder


def make_environment(folder: Path, versions: Mapping[str, str] = FORK) -> Path:
    """Return its interpreter."""
    python = environment(folder, versions, platform_file=versions is FORK)
    (folder / "demo.txt").write_text(demo_help("0.3"))
    this = f'PYTHONPATH="{ROOT}" exec "{sys.executable}" -m tests.integration.neuron_environment'
    _script(python, "-c", "answer.json", f"{this} serve")
    _script(folder / "inference_demo", "run --help", "demo.txt", f"{this} compile")
    return python


def _script(path: Path, question: str, answer: str, otherwise: str) -> None:
    """Write a program that prints a file when its arguments begin with ``question``."""
    lines = (
        "#!/bin/sh",
        'cd "$(dirname "$0")"',
        f'case "$*" in "{question}"*) exec cat {answer};; esac',
        f'{otherwise} "$@"',
    )
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o755)


def value_of(option: str, arguments: list[str]) -> str:
    return arguments[arguments.index(option) + 1]


def compile_model(arguments: list[str]) -> None:
    folder = Path(value_of("--compiled-model-path", arguments))
    ranks = int(value_of("--tp-degree", arguments))
    config = {
        "tp_degree": ranks,
        "batch_size": int(value_of("--batch-size", arguments)),
        "seq_len": int(value_of("--seq-len", arguments)),
        "is_continuous_batching": "--is-continuous-batching" in arguments,
    }
    (folder / "neuron_config.json").write_text(json.dumps({"neuron_config": config}))
    trace(Path(os.environ["BASE_COMPILE_WORK_DIR"]))
    write_model(folder / "model.pt", is_cut_off=False)
    write_weights(folder / "weights", ranks)


def serve(arguments: list[str]) -> None:
    """Become the simulator, once the model is loaded, or compiled into the cache."""
    seen = Path(f"{os.environ['NEURON_PROCESS_TAG']}.json")
    seen.write_text(json.dumps({"argv": arguments, "env": dict(os.environ)}))
    if "NEURON_COMPILED_ARTIFACTS" in os.environ:
        load(Path(os.environ["NEURON_COMPILED_ARTIFACTS"]), arguments)
    else:
        fill(Path(os.environ["VLLM_CACHE_ROOT"]) / "neuron" / "compile_cache")
    options = [
        word
        for ours, theirs in _VLLM_TO_SIM.items()
        for word in (theirs, value_of(ours, arguments))
    ]
    os.execv(sys.executable, [sys.executable, "-P", "-m", "replicore", "sim", *options])


def load(artefact: Path, arguments: list[str]) -> None:
    compiled = json.loads((artefact / "neuron_config.json").read_text())["neuron_config"]
    assert compiled["tp_degree"] == int(value_of("--tensor-parallel-size", arguments))


def fill(cache: Path) -> None:
    """Compile what is missing, which is fatal where the cache is said to be whole."""
    if not (cache / "key").exists():
        assert "VLLM_NEURON_DISABLE_WARMUP_COMPILE" not in os.environ
        cache.mkdir(parents=True)
        (cache / "key").write_text("NEFF")


if __name__ == "__main__":
    {"compile": compile_model, "serve": serve}[sys.argv[1]](sys.argv[2:])
