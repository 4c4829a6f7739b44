"""The command line and the environment of one vLLM replica. Pure.

Source: vLLM's ``EngineArgs``, ``envs.py`` and CPU platform, as of 0.9 to 0.32.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from replicore.cores import CoreRange
from replicore.engines.command import SAFE_PATH
from replicore.engines.engine import ReplicaPlan
from replicore.engines.vllm.memory import cpu_kv_cache_gib

MODULE = "vllm.entrypoints.openai.api_server"

LOOPBACK = "127.0.0.1"

# Left by a launcher (torchrun, MPI), a notebook or another server, any of these makes vLLM join a
# group that is not there, take a port or a device of somebody else, or write into his metrics.
LEAKED = (
    "WORLD_SIZE",
    "RANK",
    "LOCAL_WORLD_SIZE",
    "LOCAL_RANK",
    "GROUP_RANK",
    "GROUP_WORLD_SIZE",
    "ROLE_RANK",
    "ROLE_WORLD_SIZE",
    "NODE_RANK",
    "MASTER_ADDR",
    "MASTER_PORT",
    "TORCHELASTIC_RUN_ID",
    "TORCHELASTIC_USE_AGENT_STORE",
    "OMPI_COMM_WORLD_RANK",
    "OMPI_COMM_WORLD_SIZE",
    "OMPI_COMM_WORLD_LOCAL_RANK",
    "PMI_RANK",
    "PMI_SIZE",
    "CUDA_VISIBLE_DEVICES",
    "CPU_VISIBLE_MEMORY_NODES",
    "PROMETHEUS_MULTIPROC_DIR",
    "VLLM_API_KEY",
    "VLLM_CPU_KVCACHE_SPACE",
    "VLLM_CPU_OMP_THREADS_BIND",
    "VLLM_DP_MASTER_IP",
    "VLLM_DP_MASTER_PORT",
    "VLLM_DP_RANK",
    "VLLM_DP_RANK_LOCAL",
    "VLLM_DP_SIZE",
    "VLLM_HOST_IP",
    "VLLM_LOOPBACK_IP",
    "VLLM_PORT",
    "VLLM_RPC_BASE_PATH",
)

# Where in a replica's block of ports each begins. vLLM counts up from VLLM_PORT.
_MASTER_PORT = 48
_NIXL_PORT = 50

# Longest folder below which vLLM's and multiprocessing's sockets (36 characters of UUID, or
# pymp-xxxxxxxx/listener-xxxxxxxx) still have names of at most 107 bytes (unix(7)).
_LONGEST_TEMPORARY_FOLDER = 70

# The supervisor's start_timeout decides; vLLM would give up after ten minutes.
_READY_TIMEOUT_S = 7 * 24 * 3600

# Below the supervisor's stop_grace; what comes through the gateway has ended before.
_SHUTDOWN_TIMEOUT_S = 5

# Beginnings of names in /dev/shm: rings and locks of Python's multiprocessing, and what the ranks
# on CPU cores exchange, which vLLM leaves there whenever its workers are killed, also by itself.
_SEGMENTS = ("psm_", "sem.mp-", "vllm_dist_")

# What opens shared memory by its name long after the start.
_OPENING_LATER = ("--enable-shm-tensor-arena", "--mm-processor-cache-type", "--enable-elastic-ep")

# Workers that do not end by themselves are terminated after this. vLLM's own five seconds are all
# of _SHUTDOWN_TIMEOUT_S, so that it killed them instead (seen with tp 2 on CPU cores).
_WORKER_SHUTDOWN_TIMEOUT_S = 1

Release = tuple[int, ...] | None


def arguments(
    replica: ReplicaPlan,
    *,
    ranks: int,
    dtype: str | None = None,
    memory_fraction: float | None = None,
) -> tuple[str, ...]:
    """Return the options that the plan decides.

    Args:
        ranks: Tensor-parallel degree.
        dtype: None leaves it to the engine's other options.
        memory_fraction: Share of a CUDA device's memory; None where there is none.
    """
    planned = {
        "--model": str(replica.model.path),
        "--served-model-name": replica.model.served_name,
        "--host": replica.host,
        "--port": str(replica.port),
        "--tensor-parallel-size": str(ranks),
        "--max-num-seqs": str(replica.batch_size),
        "--max-model-len": str(replica.max_model_len),
    }
    if dtype is not None:
        planned["--dtype"] = dtype
    if memory_fraction is not None:
        planned["--gpu-memory-utilization"] = str(memory_fraction)
    return tuple(word for option in planned.items() for word in option)


def default_arguments(release: Release, chosen: Mapping[str, str]) -> tuple[str, ...]:
    """Return the options that are replicore's to choose and ``engine.args``'s to choose otherwise.

    Args:
        release: Of vLLM; None is taken for the newest.
        chosen: The options of ``engine.args``.
    """
    # The supervisor asks for /health once a second, and would fill the log with it.
    defaults: list[tuple[str, ...]] = [("--disable-uvicorn-access-log",)]
    if release is None or release >= (0, 18):
        defaults.append(("--shutdown-timeout", str(_SHUTDOWN_TIMEOUT_S)))
    if release is not None and release < (0, 10, 1):
        # Newer ones write no prompts into their log unless they are told to.
        defaults.append(("--disable-log-requests",))
    return tuple(word for option in defaults if option[0] not in chosen for word in option)


def segments(chosen: Mapping[str, str]) -> tuple[str, ...]:
    """Return what the names of its shared memory begin with; see ``Command``.

    Args:
        chosen: The options of ``engine.args``.
    """
    return () if any(name in chosen for name in _OPENING_LATER) else _SEGMENTS


def environment(replica: ReplicaPlan, chosen: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a replica has wherever it runs.

    vLLM's compile cache goes by the values of most of its variables. One that differs from replica
    to replica keeps them from sharing it, unless vLLM leaves it out, as it does with those here.

    Args:
        chosen: The options of ``engine.args``.
    """
    variables = {
        **SAFE_PATH,
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_ENGINE_READY_TIMEOUT_S": str(_READY_TIMEOUT_S),
        "VLLM_WORKER_SHUTDOWN_TIMEOUT_SECONDS": str(_WORKER_SHUTDOWN_TIMEOUT_S),
        # Its processes find each other on this machine: nothing of that is for the network.
        "VLLM_HOST_IP": LOOPBACK,
        "GLOO_SOCKET_IFNAME": "lo",
        **_ports(replica.first_port, kv_transfer="--kv-transfer-config" in chosen),
    }
    cache = replica.artefact or replica.folder
    if cache is not None:
        variables["VLLM_CACHE_ROOT"] = str(cache)
    if replica.folder is not None and len(str(replica.folder)) <= _LONGEST_TEMPORARY_FOLDER:
        # Its sockets and rendezvous files, so that a kill leaves none of them in /tmp
        variables["TMPDIR"] = variables["VLLM_RPC_BASE_PATH"] = str(replica.folder)
    return variables


def _ports(first: int, *, kv_transfer: bool) -> dict[str, str]:
    if not first:
        return {}
    ports = {
        "VLLM_PORT": str(first),
        "MASTER_ADDR": LOOPBACK,
        "MASTER_PORT": str(first + _MASTER_PORT),
    }
    if kv_transfer:
        # Only where it is needed: the compile cache goes by it.
        ports["VLLM_NIXL_SIDE_CHANNEL_PORT"] = str(first + _NIXL_PORT)
    return ports


def cpu_environment(cores: CoreRange, *, ranks: int, kv_cache: int) -> dict[str, str]:
    """Return the variables of a replica on CPU cores.

    The binding is one that the compile cache goes by: there each replica has an entry of its own.

    Args:
        kv_cache: Of all ranks together, in bytes.
    """
    threads = len(cores) // ranks
    return {
        "VLLM_CPU_OMP_THREADS_BIND": "|".join(str(rank) for rank in cores.split(threads)),
        "VLLM_CPU_KVCACHE_SPACE": str(cpu_kv_cache_gib(kv_cache, ranks)),
        "OMP_NUM_THREADS": str(threads),
    }


def device_environment(devices: Sequence[str]) -> dict[str, str]:
    """Return the variables of a replica on CUDA devices, by NVML's index or by UUID."""
    return {
        # CUDA numbers devices by speed otherwise, NVML never does
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES": ",".join(devices),
    }


def fraction_of_one(memory_fraction: float, replicas: int) -> float:
    """Return the share of a device's memory that one of ``replicas`` takes, rounded down."""
    return math.floor(memory_fraction / replicas * 10_000) / 10_000
