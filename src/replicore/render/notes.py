"""Why a command has a variable or an option: comments for those who read rendered files; pure.

They tell where the tutorial "Scaling LLM Inference with Data Parallelism on Trn2" goes wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        "NEURON_RT_VISIBLE_CORES": "The replica's own cores, exactly as many as its tensor "
        "parallel degree and without a gap. Unset, the process takes every core of the machine.",
        "NEURON_VISIBLE_DEVICES": "The replica's own logical cores, exactly as many as its tensor "
        "parallel degree; the first one a multiple of it.",
        "NEURON_RT_VIRTUAL_CORE_SIZE": "Physical cores per logical core: one number for compiling "
        "and serving. The tutorial's server has 2 whatever the model was compiled for.",
        "NEURON_COMPILED_ARTIFACTS": "What was compiled. Where the server cannot load it, it "
        "recompiles into it, so it must be whole before anything starts; and a --max-model-len "
        "beyond the compiled length is promised and not kept. The tutorial compiles for 8192 "
        "tokens and serves 12800.",
        "BASE_COMPILE_WORK_DIR": "A folder of its own: the compiler empties it first, so that two "
        "compiles in one folder destroy each other's files.",
        "VLLM_PORT": "Ports for the engine's own processes, a block for each replica: vLLM looks "
        "for a free one and takes it later, which another replica may do first.",
        "NEURON_RT_NUM_CORES": "The logical cores of one replica: the tutorial's compiler takes "
        "all of the machine.",
    }
)

OPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "--save-sharded-checkpoint": "--save-sharded-checkpoint: the weights are written as each "
        "core loads them; without it every replica shards all of them at every start.",
        "--global-topk": "Sampling is compiled in: compiler and server are given the same. The "
        "tutorial compiles greedy sampling and asks the server for another.",
        "--start_rank_id": "Rank 0 is right for all replicas: what is compiled does not depend on "
        "the cores that it will run on.",
    }
)


def notes_on(argv: Iterable[str]) -> list[str]:
    """Return why an argv has the options that it has."""
    words = set(argv)
    return [note for option, note in OPTIONS.items() if option in words]
