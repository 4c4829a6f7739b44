"""Errors of AWS Neuron: runtime, compiler, NxD Inference and vLLM's plugins. Pure.

``#N`` in a source is an issue of aws-neuron/aws-neuron-sdk unless another repository is named.
"""

from __future__ import annotations

from replicore.engines.known_errors.known_error import KnownError

_TROUBLESHOOTING = "Neuron SDK, runtime troubleshooting"

NEURON = (
    KnownError(
        name="neuron-cores-busy",
        pattern=r"Neuron ?Core\(s\) not available",
        cause="another process holds the cores: one without a range of its own takes all",
        cure="`neuron-ls` shows its pid; end it, or set `layout.cores` to cores that are free",
        source=f"{_TROUBLESHOOTING}; #441, #898, #1338; huggingface/optimum-neuron #452, #772",
    ),
    KnownError(
        name="neuron-core-missing",
        pattern=r"Could not find VNC id|Could not open the nd\d|Could not open the device index",
        cause="the range goes beyond the cores that the process can see",
        cure="`neuron-ls` lists them; lower `layout.replicas` or `layout.tp`, or give the "
        "container more devices",
        source=_TROUBLESHOOTING,
    ),
    KnownError(
        name="neuron-topology",
        pattern=r"Unsupported topology\. Supported number of Neuron Cores",
        cause="the chips are not wired for groups of that many cores",
        cure="use a legal `layout.tp`: 1, 2, 8, 16 or 32 on trn1",
        source="huggingface/optimum-neuron #424, #619",
    ),
    KnownError(
        name="neuron-alignment",
        pattern=r"Collective operation \w+.* is currently not supported"
        r"|Failed to schedule neff execution\. status=2",
        cause="a replica's range does not start on a multiple of its tp (trn2)",
        cure="let replicore place the replicas, or start `layout.cores` on a multiple of "
        "`layout.tp`; smaller buckets do not help",
        source="Neuron SDK, vllm-neuron, tutorial-epd",
    ),
    KnownError(
        name="neuron-contiguity",
        pattern=r"[Nn]euron cores are not contiguous",
        cause="the cores, or the container's devices, have gaps",
        cure="give each replica one range without gaps in `layout.cores`, and a container "
        "consecutive devices",
        source="Neuron SDK, runtime guide",
    ),
    KnownError(
        name="neuron-visible-devices",
        pattern=r"TP != len\(NEURON_VISIBLE_DEVICES\)|AssertionError.*NEURON_VISIBLE_DEVICES",
        cause="`NEURON_VISIBLE_DEVICES` does not name exactly tp cores",
        cure="take it out of `engine.env`: replicore sets it from the replica's range",
        source="Neuron SDK, vllm-neuron, tutorial-epd",
    ),
    KnownError(
        name="neuron-visible-cores",
        pattern=r"NEURON_RT_VISIBLE_CORES cannot be used with multi-processing",
        cause="the new plugin takes its cores from `NEURON_VISIBLE_DEVICES` alone",
        cure='set `engine.neuron.generation = "native"`, and unset NEURON_RT_VISIBLE_CORES where '
        "the container or `engine.env` sets it",
        source="vllm-neuron 0.21",
    ),
    KnownError(
        name="neuron-memory",
        pattern=r"Failed to allocate .*\(usage: [^)]*\) on ND \d+:NC \d+"
        r"|nrt_tensor_allocate status=4|status=4 message=\"?Allocation Failure"
        r"|neuron:mc_alloc: device mempool",
        cause="a core's memory is full; rank 0 fills first, and with LNC 1 two cores share a bank",
        cure="lower `layout.batch_size` or `layout.max_model_len`, or raise `layout.tp`; "
        "/tmp/neuron_mem_table_device_* tells what took it",
        source="#1014; vllm-project/vllm #6452, #12443; Neuron SDK, device-memory",
    ),
    KnownError(
        name="neuron-compile-memory",
        pattern=r"NCC_EVRF009|Estimated peak HBM usage .* exceeds",
        cause="weights, KV cache and activations of one core are more than its memory",
        cure="lower `layout.max_model_len` or `layout.batch_size`, or raise `layout.tp`",
        source="Neuron SDK, compiler error codes; #884",
    ),
    KnownError(
        name="neuron-kv-budget",
        pattern=r"KV cache budget (?:is )?below minimum threshold",
        cause="less than 1 GiB is left for the KV cache beside the weights",
        cure="raise `layout.tp`, or use a smaller or quantised model",
        source="Neuron SDK, vllm-neuron, reference-configuration",
    ),
    KnownError(
        name="neuron-compile-race",
        pattern=r"No such file or directory: '?[^' ]*nxd_model",
        cause="two compiles shared a work folder, and each begins by deleting it",
        cure="`replicore compile` gives each its own; unset BASE_COMPILE_WORK_DIR in `engine.env`",
        source="Neuron SDK, trn3 gpt-oss tutorial; optimum-neuron 301353f9",
    ),
    KnownError(
        name="neuron-compile-lock",
        pattern=r"Another process must be compiling .*been waiting for: \d{2,}",
        cause="another process compiles the same graph, or one that was killed left its lock",
        cure="wait if `ps` shows a neuronx-cc; else delete the `.lock` files of the compile cache",
        source="vllm-project/vllm-neuron #6",
    ),
    KnownError(
        name="neuron-compile-flake",
        pattern=r"neuronx-cc compilation failed with 70|in tp_barrier",
        cause="one of many compilers that run at once failed, which now and then happens",
        cure="try it once more: what is compiled already stays in the cache",
        transient=True,
        source="#1369",
    ),
    KnownError(
        name="neuron-cached-failure",
        pattern=r"Got a cached failed neff",
        cause="an earlier compile failed or was interrupted, and the cache remembers that",
        cure="delete the MODULE_ folder that the line names, then `replicore compile --force`",
        source="Neuron SDK, compile cache; #1023",
    ),
    KnownError(
        name="neuron-recompiling",
        pattern=r"Unable to find precompiled artifacts",
        cause="the artefact cannot be loaded (path, SDK or layout), so it is being overwritten",
        cure="stop it; `replicore artefacts verify` checks the files, `replicore compile` makes "
        "them anew",
        source="vllm-project/vllm-neuron 0.2",
    ),
    KnownError(
        name="neuron-other-chip",
        pattern=r"compiled for a different arch|NEFF arch: v\d+, instance arch"
        r"|To override, set NEURON_RT_ALLOW_LEGACY_NEFF",
        cause="the artefact was compiled for another chip",
        cure="run `replicore compile` on this instance type",
        source="#1259",
    ),
    KnownError(
        name="neuron-neff-version",
        pattern=r"NEFF version mismatch|Unsupported hardware operator code \d",
        cause="the artefact was compiled by a newer SDK than the runtime here",
        cure="upgrade aws-neuronx-runtime-lib and aws-neuronx-collectives, or compile here",
        source=_TROUBLESHOOTING,
    ),
    KnownError(
        name="neuron-driver",
        pattern=r"Unable to determine Neuron Driver version|requires Neuron Driver version"
        r"|Unable to read compatible Driver version"
        r"|not compatible with the installed aws-neuronx?-dkms",
        cause="the kernel driver is missing, too old, or not passed into the container",
        cure="install aws-neuronx-dkms, reload it (`rmmod neuron; modprobe neuron`), and give a "
        "container /dev/neuron*",
        source=f"{_TROUBLESHOOTING}; #415",
    ),
    KnownError(
        name="neuron-no-device",
        pattern=r"[Nn]o neuron devices? (?:available|found|present)",
        cause="no /dev/neuron* can be opened by the process",
        cure="`neuron-ls` must list devices; give a container its devices",
        source="aws-neuron-samples #44",
    ),
    KnownError(
        name="neuron-device-stuck",
        pattern=r"Timestamp program stop timeout|Failed to stop neuron core",
        cause="an earlier process left a device running",
        cure="end every process of `neuron-ls`, then `sudo rmmod neuron; sudo modprobe neuron`",
        source=_TROUBLESHOOTING,
    ),
    KnownError(
        name="neuron-execution-timeout",
        pattern=r"execution timeout \(\d+ ms\)|NRT_EXEC_SW_NQ_OVERFLOW",
        cause="a graph ran longer than the runtime waits",
        cure='set `engine.env = { NEURON_RT_EXEC_TIMEOUT = "600" }`; where the line says so, '
        "NEURON_RT_ENABLE_DGE_NOTIFICATIONS to 0",
        source=_TROUBLESHOOTING,
    ),
    KnownError(
        name="neuron-torchrun-variables",
        pattern=r"KeyError: ['\"]LOCAL_(?:WORLD_SIZE|RANK)",
        cause="it runs under torchrun or Slurm, whose variables (WORLD_SIZE) only half apply",
        cure="start replicore outside of them; it takes these variables away from its engines",
        source="#1123, #1163",
    ),
    KnownError(
        name="neuron-package",
        pattern=r"No module named '?(?:neuronx_distributed\w*|torch_neuronx|libneuronxla|nki\b)",
        cause="the environment lacks a part of the Neuron SDK",
        cure="point `engine.python` to the SDK's own environment (/opt/aws_neuronx_venv_*)",
        source="#1167; vllm-project/vllm-neuron #8",
    ),
    KnownError(
        name="neuron-meta-tensor",
        pattern=r"Cannot copy out of meta tensor",
        cause="tied embeddings cannot be sharded on load from a repository's name",
        cure="give `model.source` a local folder, or set `engine.neuron.shard_weights = true`",
        source="vllm-project/vllm-neuron issues",
    ),
    KnownError(
        name="neuron-runtime",
        pattern=r"ERROR +NRT:nrt_init|Neuron [Rr]untime (?:could not|cannot) be initialized",
        cause="the runtime could not take its cores; mostly another process holds them",
        cure="`neuron-ls` shows who; the lines above it tell more",
        source="aws-neuron-samples #44",
    ),
    KnownError(
        name="neuron-core-count",
        pattern=r"terminate called after throwing an instance of 'c10::Error'",
        cause="torch gave up; on Neuron mostly because tp is more than the cores (TP 32 of 24)",
        cure="compare `layout.replicas` x `layout.tp` with the cores that `neuron-ls` lists",
        source="vllm-project/vllm-neuron #7",
    ),
)
