"""Variables of the Neuron runtime, the same for all generations. Pure.

Source: SDK neuron-runtime/guides/configuration-guide.rst.
"""

from __future__ import annotations

from replicore.engines.engine import ReplicaPlan

# What a shell or a notebook may have set for another process. The runtime would take other cores,
# the compiler other options, and vLLM would load another compiled model, or write into it.
LEAKED = (
    "BASE_COMPILE_WORK_DIR",
    "DISABLE_NEURON_CUSTOM_SCHEDULER",
    "NEURON_CC_FLAGS",
    "NEURON_COMPILED_ARTIFACTS",
    "NEURON_LOGICAL_NC_CONFIG",
    "NEURON_ON_DEVICE_SAMPLING_DISABLED",
    "NEURON_PLATFORM_TARGET_OVERRIDE",
    "NEURON_RT_NUM_CORES",
    "NEURON_RT_ROOT_COMM_ID",
    "NEURON_RT_VIRTUAL_CORE_SIZE",
    "NEURON_RT_VISIBLE_CORES",
    "NEURON_VISIBLE_DEVICES",
    "VLLM_NEURON_CPU_COMPILE",
    "VLLM_NEURON_CPU_MODE",
    "VLLM_NEURON_DISABLE_WARMUP_COMPILE",
    "VLLM_NEURON_FRAMEWORK",
)


def core_environment(lnc: int) -> dict[str, str]:
    """Return how physical cores are joined, by its new name and by that of older runtimes."""
    return {
        "NEURON_LOGICAL_NC_CONFIG": str(lnc),
        "NEURON_RT_VIRTUAL_CORE_SIZE": str(lnc),
        "NEURON_RT_INSPECT_ENABLE": "0",
    }


def serving_environment(replica: ReplicaPlan, *, lnc: int, cpus: int) -> dict[str, str]:
    """Return the runtime's variables of a replica.

    Args:
        cpus: Of the whole machine; a replica's threads have its share of them.
    """
    return {
        **core_environment(lnc),
        "NEURON_PROCESS_TAG": replica.name,
        "OMP_NUM_THREADS": str(max(1, cpus // replica.replicas)),
    }
