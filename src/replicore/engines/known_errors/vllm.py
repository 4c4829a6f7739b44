"""Errors of vLLM and of what it stands on: CUDA, NCCL, torch, the model hub. Pure.

``#N`` in a source is an issue of vllm-project/vllm.
"""

from __future__ import annotations

from replicore.engines.known_errors.known_error import KnownError

VLLM = (
    KnownError(
        name="vllm-device-shared",
        pattern=r"Free memory on device .* is less than (?:desired|the engine's budget)",
        cause="other processes hold the device's memory that the replica was to have",
        cure="`nvidia-smi` shows them; end them, or lower `engine.vllm.memory_fraction`",
        source="#20305",
    ),
    KnownError(
        name="vllm-cpu-memory",
        pattern=r"Available memory on node \S+ .* is less than (?:desired|requested)",
        cause="the NUMA node has less free memory than weights and KV cache need",
        cure="lower `engine.vllm.cpu_kv_cache`, or run fewer replicas",
        source="vLLM 0.32, cpu_worker",
    ),
    KnownError(
        name="vllm-kv-cache",
        pattern=r"To serve at least one request with the model'?s'?s? max seq len"
        r"|larger than the maximum number of tokens that can be stored in KV cache",
        cause="the KV cache does not hold a single sequence of `layout.max_model_len`",
        cure="lower `layout.max_model_len`, or raise `layout.tp`, `engine.vllm.memory_fraction` "
        "or, on a CPU, `engine.vllm.cpu_kv_cache`",
        source="#2418, #27508",
    ),
    KnownError(
        name="vllm-no-kv-cache",
        pattern=r"No available memory for the cache blocks",
        cause="the weights leave no memory for a KV cache",
        cure="raise `layout.tp` or `engine.vllm.memory_fraction`, or use a smaller model",
        source="#17431",
    ),
    KnownError(
        name="cuda-memory",
        pattern=r"CUDA out of memory|cudaMalloc failed: out of memory|CUDA error: out of memory"
        r"|torch\.(?:cuda\.)?OutOfMemoryError",
        cause="the device's memory is full",
        cure="lower `engine.vllm.memory_fraction`, `layout.batch_size` or `layout.max_model_len`, "
        "or raise `layout.tp`; `nvidia-smi` shows other processes",
    ),
    KnownError(
        name="cuda-driver",
        pattern=r"CUDA driver version is insufficient|NVIDIA driver on your system is too old"
        r"|Found no NVIDIA driver",
        cause="the NVIDIA driver is older than the CUDA that torch was built with, or missing",
        cure="upgrade the driver, or point `engine.python` to an environment for an older CUDA",
    ),
    KnownError(
        name="cuda-architecture",
        pattern=r"no kernel image is available for execution",
        cause="torch was built for other generations of GPU",
        cure="point `engine.python` to an environment built for this one",
    ),
    KnownError(
        name="cuda-no-device",
        pattern=r"No CUDA GPUs are available|no CUDA-capable device is detected"
        r"|Failed to infer device type",
        cause="the process sees no device",
        cure='`nvidia-smi` must list it; without one set `engine.vllm.device = "cpu"` and use '
        "vLLM's CPU build",
    ),
    KnownError(
        name="cuda-fault",
        pattern=r"uncorrectable ECC error|GPU has fallen off the bus"
        r"|CUDA error: an illegal memory access",
        cause="the device or a kernel on it failed",
        cure="`dmesg | grep Xid` tells which; leave that device out of `layout.cores`",
    ),
    KnownError(
        name="shared-memory",
        pattern=r"Error while creating shared memory segment|unable to open shared memory object"
        r"|No space left on device: '?/dev/shm|/dev/shm/\S*.*No space left on device",
        cause="/dev/shm is too small for the ranks of a replica; a container has 64 MiB",
        cure="start the container with `--ipc=host` or `--shm-size=8g`, or mount an emptyDir "
        "with `medium: Memory`",
    ),
    KnownError(
        name="nccl",
        pattern=r"ncclSystemError|ncclUnhandledCudaError|ncclInternalError|NCCL error in:",
        cause="the devices of a replica could not reach each other",
        cure='set `engine.env = { NCCL_DEBUG = "INFO" }` and look at the first warning; /dev/shm, '
        "peer access and MIG are the usual ones",
    ),
    KnownError(
        name="heads",
        pattern=r"Total number of attention heads \(\d+\) must be divisible by tensor parallel",
        cause="`layout.tp` does not divide the model's attention heads",
        cure="use a `layout.tp` that does",
    ),
    KnownError(
        name="vllm-world-size",
        pattern=r"World size \(\d+\) is larger than the number of available GPUs",
        cause="`layout.tp` is more than the devices that the replica sees",
        cure="lower `layout.tp`, or unset CUDA_VISIBLE_DEVICES in `engine.env`",
    ),
    KnownError(
        name="model-length",
        pattern=r"User-specified max_model_len \(\d+\) is greater than the derived",
        cause="`layout.max_model_len` is longer than the model was trained for",
        cure="lower it to the number in the message",
    ),
    KnownError(
        name="model-architecture",
        pattern=r"Model architectures .* are not supported for now"
        r"|does not recognize this architecture",
        cause="the installed version does not know this kind of model",
        cure="upgrade vLLM and transformers in `engine.python`, or use another model",
    ),
    KnownError(
        name="bfloat16",
        pattern=r"Bfloat16 is only supported on GPUs",
        cause="the GPU is too old for the model's own number type",
        cure='set `engine.vllm.dtype = "float16"`',
    ),
    KnownError(
        name="remote-code",
        pattern=r"pass the argument `trust_remote_code=True`"
        r"|set the option `trust_remote_code=True`",
        cause="the model brings Python code of its own",
        cure='read that code, then set `engine.args = ["--trust-remote-code"]`',
    ),
    KnownError(
        name="gated-model",
        pattern=r"trying to access a gated repo|GatedRepoError|Access to model .* is restricted",
        cause="the model's owner asks for consent, and the token has none, or is missing",
        cure="accept the terms on the model's page, and set HF_TOKEN",
    ),
    KnownError(
        name="hub-limit",
        pattern=r"429 Client Error|HTTP(?:Error)?:? 429|429 Too Many Requests.*huggingface",
        cause="the model hub limits requests; many engines asked at once, or without a token",
        cure="set HF_TOKEN, or give `model.source` a local folder",
        transient=True,
        source="Neuron SDK, vllm-neuron, tutorial-epd",
    ),
    KnownError(
        name="hub-offline",
        pattern=r"LocalEntryNotFoundError|outgoing traffic has been disabled"
        r"|couldn't connect to '?https://huggingface\.co",
        cause="the model is not in the local cache and the hub cannot be reached",
        cure="download it where there is a network, then give `model.source` the folder",
    ),
    KnownError(
        name="model-folder",
        pattern=r"Repo id must be in the form|is not a valid model identifier listed on"
        r"|Can't load the configuration of '",
        cause="the folder of the model is not there, or has no config.json",
        cure="look at the path in the line, and at `model.source`",
    ),
    KnownError(
        name="model-config",
        pattern=r"StrictDataclass\w+: |Class validation error for validator",
        cause="the model's config.json has numbers that do not go together",
        cure="compare it with the one that the model was published with",
    ),
    KnownError(
        name="model-weights",
        pattern=r"Cannot find any model weights|SafetensorError|HeaderTooLarge|MetadataIncomplete",
        cause="the folder has no weights, or a download was cut short",
        cure="delete the broken files and download again",
    ),
    KnownError(
        name="wrong-model",
        pattern=r"The model [`'\"][^`'\"]+[`'\"] does not exist",
        cause="the server has another model: vLLM serves Qwen3-0.6B where a script's variable for "
        "the model was empty",
        cure="ask `/v1/models` what it serves, and use `model.served_name`",
        source="Neuron SDK, vllm-neuron, tutorial-epd",
    ),
    KnownError(
        name="unknown-flag",
        pattern=r"error: unrecognized arguments: |error: argument --\S+: (?:invalid|expected)",
        cause="the installed version has no such flag, or takes other values",
        cure="take it out of `engine.args`; `--help` of that version lists its flags",
    ),
    KnownError(
        name="compiler-missing",
        pattern=r"InvalidCxxCompiler|Failed to find C compiler|fatal error: Python\.h",
        cause="torch compiles kernels at the start and finds no compiler, or no Python headers",
        cure='install g++ and python3-dev, or set `engine.args = ["--enforce-eager"]`',
    ),
    KnownError(
        name="rendezvous-port",
        pattern=r"DistNetworkError|server socket has failed to listen",
        cause="two engines picked the same free port for their ranks and one was later",
        cure="start it again; replicore gives each replica ports of its own, so another program "
        "took one",
        transient=True,
        source="#14919, #39015, #43206",
    ),
    KnownError(
        name="rank-lost",
        pattern=r"gloo/transport/tcp/\S+ Connection closed by peer|ncclInitGlobalComm failed"
        r"|ProcessGroup.*(?:[Tt]imed out|[Tt]imeout)|process group has not been initialized",
        cause="the ranks of a replica lost each other, mostly because one of them died",
        cure="the first error above tells why; without one, start it again",
        transient=True,
        source="optimum-neuron 899eed27",
    ),
    KnownError(
        name="step-timeout",
        pattern=r"RPC call to \w+ timed out|Timed out waiting for engine"
        r"|shm_broadcast.*TimeoutError",
        cause="a step, or a cold compile, took longer than vLLM waits",
        cure='set `engine.env = { VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS = "1200" }`, and run '
        "`replicore compile` first",
    ),
    KnownError(
        name="engine-core",
        pattern=r"EngineCore failed to start|Engine core initialization failed|EngineDeadError"
        r"|WorkerProc failed to start",
        cause="a process of the engine ended; what it died of stands above",
        cure="`replicore logs` shows it; where replicas compiled side by side, run "
        "`replicore compile` first",
        symptom=True,
        source="vllm-project/vllm-neuron #6",
    ),
)
