"""Variables of the generations that load a compiled model of NxD Inference. Pure."""

from __future__ import annotations

from replicore.engines.engine import ReplicaPlan

# The fork's and the plugin's own waits: loading 140 GB takes minutes (milliseconds)
_RPC_TIMEOUT_MS = 100_000


def compiled_model_environment(replica: ReplicaPlan) -> dict[str, str]:
    """Return where the compiled model is, and the cores that it is loaded to.

    Without an artefact vLLM compiles into the model's own folder, which it empties first, and
    which all replicas share.

    Source: the AWS tutorial's ``deploy_vllm_endpoint.sh``; the fork's ``neuronx_distributed.py``.
    """
    variables = {
        "VLLM_NEURON_FRAMEWORK": "neuronx-distributed-inference",
        "VLLM_RPC_TIMEOUT": str(_RPC_TIMEOUT_MS),
        "NEURON_RT_VISIBLE_CORES": str(replica.cores),
    }
    if replica.artefact is not None:
        variables["NEURON_COMPILED_ARTIFACTS"] = str(replica.artefact)
    if replica.folder is not None:
        # Compiling begins with deleting this folder; the default is one for the whole machine.
        variables["BASE_COMPILE_WORK_DIR"] = str(replica.folder / "nxd_model")
    return variables
