"""The spec: every table and every key, with its default. All of it frozen, all of it optional.

The descriptions here are the only ones: ``docs/configuration.md`` and the file that
``replicore init`` writes are generated from them (``spec/docs.py``). A key whose default says
nothing about its form has an example, which error messages use too.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from replicore.spec.values import (
    Arguments,
    Bool,
    Cores,
    Count,
    Endpoint,
    Host,
    JsonTable,
    Location,
    Name,
    NaturalInt,
    NaturalNumber,
    Port,
    PositiveDuration,
    PositiveInt,
    PositiveNumber,
    PositiveSize,
    Program,
    Share,
    Source,
    String,
    Variables,
    read_text,
)
from replicore.units import GIB, HOUR, MIB, MINUTE, Duration, format_duration

Kind = Literal["llamacpp", "vllm", "neuron", "sim", "remote"]
Policy = Literal[
    "least_outstanding",
    "least_work",
    "round_robin",
    "random",
    "power_of_two",
    "consistent_hash",
    "prefix_affinity",
]
Kernel = Literal["qkv", "attn", "mlp"]


class Conflict(ValueError):
    """Raised when keys contradict each other; ``key`` is the dotted one to name, from its table."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelSpec(Table):
    """What is served."""

    source: Source = Field(
        "builtin:smollm2-135m",
        description="A Hugging Face repository (`org/name`), a folder, a `.gguf` file, or "
        "`builtin:smollm2-135m`. A path starts with `/`, `./`, `../` or `~/`.",
    )
    served_name: String | None = Field(
        None,
        description="The model name that clients use. Unset: taken from `source`.",
        examples=["llama-3.3-70b"],
    )
    revision: String | None = Field(
        None,
        description="Branch, tag or commit of the Hugging Face repository. Unset: its main branch.",
        examples=["main"],
    )
    offline: Bool = Field(
        False, description="Never download; the model must be in the local cache already."
    )


class LayoutSpec(Table):
    """How the machine's cores are split: `replicas` copies of the model, each on `tp` cores.

    `"auto"` takes what the planner expects most of, among the layouts that fit into what is free:
    the most output tokens per second under `[workload]`, within the limits of `[slo]`. Without
    `workload.concurrency` every slot is taken to have a request. Where nothing is known of the
    device it takes the smallest legal `tp` whose memory fits, and as many replicas as cores allow;
    with a fixed number of replicas the largest `tp`.
    """

    replicas: Count = Field("auto", description="Independent copies of the model.")
    tp: Count = Field("auto", description="Cores of one replica: its tensor parallel degree.")
    batch_size: PositiveInt = Field(
        4, description="Sequences that one replica works on at the same time."
    )
    max_model_len: Count = Field(
        "auto",
        description="Longest sequence in tokens, prompt plus output. `auto`: what the model was "
        "trained for, at most 4096.",
    )
    cores: Cores | None = Field(
        None,
        description="The cores that may be used, as inclusive ranges. Unset: all of the machine.",
        examples=["0-63"],
    )

    @model_validator(mode="after")
    def _check_cores_suffice(self) -> Self:
        replicas, tp = (1 if n == "auto" else n for n in (self.replicas, self.tp))
        if self.cores is not None and len(self.cores) < replicas * tp:
            raise Conflict(
                "cores",
                f'"{self.cores}" has {len(self.cores)} of the {replicas * tp} cores that '
                f"replicas = {replicas} with tp = {tp} need; give more cores, or fewer replicas",
            )
        return self


class VllmSpec(Table):
    """Only for `engine.kind = "vllm"`."""

    device: Literal["auto", "cuda", "cpu"] = Field(
        "auto", description="What the cores are. `auto`: CUDA devices where there are any."
    )
    devices: String | None = Field(
        None,
        description="CUDA devices to plan for. Unset: those of the machine that this runs on.",
        examples=["8x80GiB"],
    )
    dtype: String = Field("auto", description="Type of weights and activations, as vLLM names it.")
    memory_fraction: Share = Field(
        0.9, description="Share of a CUDA device's memory that its replicas take together."
    )
    replicas_per_device: PositiveInt = Field(
        1, description="Replicas that share each CUDA device, its memory split evenly among them."
    )
    cpu_kv_cache: PositiveSize = Field(
        4 * GIB,
        description="KV cache of one replica on CPU cores; vLLM takes whole GiB for each rank.",
    )
    cores_per_rank: PositiveInt = Field(
        1,
        description="CPU cores of one tensor parallel rank, as its threads: `layout.tp = 32` with "
        "16 is a tensor parallel degree of 2.",
    )


class OnDeviceSampling(Table):
    """How the compiled model samples tokens on the accelerator."""

    do_sample: Bool = Field(True, description="Sample; otherwise the likeliest token is taken.")
    global_topk: PositiveInt = Field(
        64, description="Tokens that a request's own sampling settings choose from."
    )
    dynamic: Bool = Field(
        True,
        description="A request's own `temperature` and `top_p` count; otherwise all requests have "
        "those of the compiled model.",
    )
    override: Bool = Field(
        True,
        description="Tell vLLM the same again when it serves, as AWS documents it; the compiled "
        "model has it in any case.",
    )


class NeuronSpec(Table):
    """Only for `engine.kind = "neuron"`: AWS Trainium and Inferentia."""

    instance: String | None = Field(
        None,
        description="EC2 instance type to plan for. Unset: the machine that this runs on.",
        examples=["trn2.48xlarge"],
    )
    lnc: Annotated[Literal[1, 2] | None, BeforeValidator(read_text)] = Field(
        None,
        description="Physical cores per logical core, for compiling and serving alike. "
        "Unset: what the machine is set to; of an `instance` that is not this machine, 2 on trn2 "
        "and trn3, 1 elsewhere.",
        examples=[2],
    )
    generation: Literal["auto", "fork", "nxdi", "native"] = Field(
        "auto",
        description="Which vLLM for Neuron: the AWS fork, the plugin on NxD Inference, or the "
        "plugin with its own models. `auto`: what `engine.python` has installed; `fork` where that "
        "is not asked, as for a plan or a script made on another machine.",
    )
    artefacts: Location | None = Field(
        None,
        description="Folder of the compiled models, one folder in it for each. Unset: in the cache "
        "folder.",
        examples=["artefacts/llama70b"],
    )
    model_type: String | None = Field(
        None,
        description="The model's family as `inference_demo` names it. Unset: what the model's "
        "`config.json` says.",
        examples=["llama"],
    )
    dtype: Literal["bfloat16", "float16", "float32"] = Field(
        "bfloat16", description="Type of weights and activations."
    )
    max_context_length: PositiveInt | None = Field(
        None,
        description="Longest prompt that is compiled for, in tokens. Unset: `max_model_len`.",
        examples=[8192],
    )
    fused_qkv: Bool = Field(
        True, description="Keep the query, key and value weights of a layer as one matrix."
    )
    sequence_parallel: Bool = Field(
        False, description="Split the work between attention and MLP over the tokens of a prompt."
    )
    bucketing: Bool = Field(
        False,
        description="Compile for several lengths, so that a short prompt does not take as long "
        "as the longest. Compiling takes longer. Buckets that are given are used without it.",
    )
    context_buckets: Annotated[tuple[PositiveInt, ...], BeforeValidator(read_text)] = Field(
        (),
        description="Prompt lengths to compile for. Empty: with `bucketing`, powers of two.",
        examples=[[2048, 4096, 8192]],
    )
    token_buckets: Annotated[tuple[PositiveInt, ...], BeforeValidator(read_text)] = Field(
        (),
        description="Sequence lengths to compile token generation for. Empty: with `bucketing`, "
        "powers of two.",
        examples=[[2048, 4096, 8192]],
    )
    shard_weights: Bool = Field(
        True,
        description="Write the weights sharded when compiling, so that replicas need not shard "
        "them at every start.",
    )
    kernels: Annotated[tuple[Kernel, ...], BeforeValidator(read_text)] = Field(
        (), description="Hand-written kernels to compile in.", examples=[["qkv", "attn", "mlp"]]
    )
    on_device_sampling: OnDeviceSampling = Field(default=OnDeviceSampling())
    pad_token_id: NaturalInt | None = Field(
        None,
        description="Token that prompts are padded with while compiling. Unset: 0.",
        examples=[2],
    )
    config: JsonTable = Field(
        {},
        description="More keys of vLLM's `override_neuron_config` (`native`: `neuron_config`).",
        examples=[{"skip_warmup": False}],
    )
    compile_args: Arguments = Field(
        (),
        description="More arguments of the compile command, passed through.",
        examples=[["--cc-pipeline-tiling-factor", "1"]],
    )
    compile_timeout: PositiveDuration = Field(
        2 * HOUR, description="Longest time that compiling may take."
    )


# What a profile of a simulated device has instead.
_RATES = (
    "prefill_tokens_per_s",
    "prefill_slope",
    "decode_tokens_per_s",
    "decode_batch_slope",
    "decode_context_slope",
)


class SimSpec(Table):
    """Only for `engine.kind = "sim"`: an engine without a model, for tests and rehearsals."""

    cores: PositiveInt | None = Field(
        None,
        description="Cores of the simulated machine. Unset: as many as this machine has.",
        examples=[64],
    )
    profile: Literal["trn2", "inf2", "h100", "cpu"] | None = Field(
        None,
        description="Device whose time the engine takes, with the model of `[model]` and the "
        "replica's tp. Unset: the rates below.",
        examples=["trn2"],
    )
    speed: PositiveNumber = Field(
        1.0, description="How many times faster than life everything is; loads and faults are not."
    )
    batching: Literal["independent", "continuous", "static"] | None = Field(
        None,
        description="`continuous`: steps with the tokens of all sequences and parts of prompts, as "
        "vLLM. `static`: prompts alone and first, as on Neuron. `independent`: every sequence at "
        "its own pace. Unset: the profile's; without one, `independent`.",
        examples=["continuous"],
    )
    kv_tokens: PositiveInt | None = Field(
        None,
        description="Tokens that the KV cache of a replica holds, with `continuous` batching. "
        "Unset: what the profile's memory leaves; without one, `batch_size` x `max_model_len`.",
        examples=[65_536],
    )
    prefill_tokens_per_s: PositiveNumber = Field(
        20_000.0, description="Prompt tokens per second of one replica."
    )
    prefill_slope: NaturalNumber = Field(
        0.0,
        description="How much longer a prompt token takes with each 1,000 tokens before it, as a "
        "share of it.",
    )
    decode_tokens_per_s: PositiveNumber = Field(
        200.0, description="Output tokens per second of one sequence that runs alone."
    )
    decode_batch_slope: NaturalNumber = Field(
        0.0,
        description="How much longer a step takes with each further sequence, as a share of it.",
    )
    decode_context_slope: NaturalNumber = Field(
        0.0,
        description="How much longer a step takes with each 1,000 tokens that its sequences have "
        "in the KV cache, as a share of it.",
    )
    prefix_cache: Bool = Field(True, description="Skip the prefill of prompt blocks seen before.")
    faults: Arguments = Field(
        (),
        description="What goes wrong; `replicore sim --help` lists the kinds.",
        examples=[["slow-start=5", "crash-after-requests=100"]],
    )

    @model_validator(mode="after")
    def _check_time_is_given_once(self) -> Self:
        fields = type(self).model_fields
        rates = [key for key in _RATES if getattr(self, key) != fields[key].default]
        if self.profile is not None and rates:
            raise Conflict(
                "profile",
                f'"{self.profile}" says how fast the engine is, and so does {rates[0]}; '
                "leave one of them out",
            )
        return self


class RemoteSpec(Table):
    """Only for `engine.kind = "remote"`: servers that somebody else runs."""

    endpoints: Annotated[tuple[Endpoint, ...], BeforeValidator(read_text)] = Field(
        (),
        description="Base URLs, one per replica, without `/v1`.",
        examples=[["http://127.0.0.1:8001", "http://127.0.0.1:8002"]],
    )


class EngineSpec(Table):
    """The program that serves one replica."""

    kind: Kind = Field("llamacpp", description="Which program.")
    python: Program | None = Field(
        None,
        description="Interpreter of the environment that has the engine. Unset: replicore's own.",
        examples=["/opt/vllm/bin/python"],
    )
    args: Arguments = Field(
        (),
        description="More arguments of the engine, passed through.",
        examples=[["--n-batch", "512"]],
    )
    env: Variables = Field(
        {},
        description="Environment variables of the engine.",
        examples=[{"OMP_PROC_BIND": "close"}],
    )
    vllm: VllmSpec = Field(default=VllmSpec())
    neuron: NeuronSpec = Field(default=NeuronSpec())
    sim: SimSpec = Field(default=SimSpec())
    remote: RemoteSpec = Field(default=RemoteSpec())

    @model_validator(mode="after")
    def _check_remote_has_endpoints(self) -> Self:
        if self.kind == "remote" and not self.remote.endpoints:
            raise Conflict(
                "remote.endpoints",
                'is empty, but engine.kind is "remote"; give the base URLs of the running '
                'servers, such as ["http://127.0.0.1:8001", "http://127.0.0.1:8002"]',
            )
        return self


class GatewaySpec(Table):
    """The front door: one OpenAI-compatible endpoint over all replicas."""

    host: Host = Field(
        "127.0.0.1", description="Address to listen on; `0.0.0.0` takes requests from outside."
    )
    port: Port = Field(8000, description="TCP port to listen on; 0 takes any free one.")
    policy: Policy = Field("least_work", description="How a replica is picked.")
    workers: PositiveInt = Field(1, description="Gateway processes, all on the same port.")
    max_queue: NaturalInt = Field(
        1024, description="Requests that may wait for a free slot; more are answered with 429."
    )
    queue_timeout: Duration = Field(
        30.0, description="Longest wait for a free slot; then the answer is 503."
    )
    max_body: PositiveSize = Field(
        64 * MIB, description="Largest request body; above it the answer is 413."
    )
    header_timeout: PositiveDuration = Field(
        10.0, description="Longest time that a client may take to send a request's head."
    )
    idle_timeout: PositiveDuration = Field(
        75.0, description="How long a connection without a request stays open."
    )
    stall_timeout: Duration = Field(
        60.0,
        description="A replica that has requests and sends nothing for this long, prefill time "
        "aside, is taken for hung: its requests go elsewhere. 0 never does.",
    )
    slow_start: Duration = Field(
        5.0, description="Time in which a restarted replica is given its slots one after the other."
    )
    resume: Bool = Field(
        True, description="Continue the stream of a replica that died on another one."
    )
    api_keys_file: Location | None = Field(
        None,
        description="File of hashed API keys, written by `replicore keys add`. Unset: no key is "
        "asked for.",
        examples=["keys.txt"],
    )
    insecure: Bool = Field(
        False, description="Listen beyond loopback without API keys, which is refused otherwise."
    )
    tls_cert: Location | None = Field(
        None,
        description="Certificate chain (PEM) to serve HTTPS with; read again when it changes.",
        examples=["cert.pem"],
    )
    tls_key: Location | None = Field(
        None, description="Private key (PEM) of `tls_cert`.", examples=["key.pem"]
    )
    cors_origins: Arguments = Field(
        (),
        description="Origins whose web pages may call the API; `*` for all. Empty: none.",
        examples=[["https://chat.example.com"]],
    )
    admin_port: Port | None = Field(
        None,
        description="TCP port on loopback for `/metrics` and `/admin`; 0 takes any free one. "
        "Unset: only the socket `admin.sock` in the state folder.",
        examples=[9000],
    )
    access_log: Location | None = Field(
        None,
        description="File for one JSON line per request, never with a prompt. Unset: none.",
        examples=["access.log"],
    )
    otlp_endpoint: str | None = Field(
        None,
        description="OTLP/HTTP collector that traces are sent to; needs the extra `tracing`.",
        examples=["http://127.0.0.1:4318/v1/traces"],
    )

    @model_validator(mode="after")
    def _check_tls_is_whole(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            given, missing = ("tls_cert", "tls_key") if self.tls_cert else ("tls_key", "tls_cert")
            raise Conflict(missing, f"is needed where {given} is given")
        return self


class SupervisorSpec(Table):
    """When a replica is given up, and when it is started again."""

    start_timeout: PositiveDuration = Field(
        10 * MINUTE, description="Longest time from a replica's start until it is ready."
    )
    starts_together: Count = Field(
        "auto",
        description="Replicas that may load at the same time; the others wait for their turn. "
        "`auto`: as many as the engine can stand.",
    )
    drain_timeout: Duration = Field(
        MINUTE, description="How long `replicore restart` waits for a replica's running requests."
    )
    stop_grace: Duration = Field(
        10.0, description="How long a replica may take to stop before it is killed."
    )
    backoff_initial: PositiveDuration = Field(
        1.0, description="Wait before the first restart; it doubles with each further one."
    )
    backoff_max: PositiveDuration = Field(MINUTE, description="Longest wait before a restart.")
    stable_after: PositiveDuration = Field(
        MINUTE, description="Time ready after which earlier failures are forgotten."
    )
    max_failures: PositiveInt = Field(
        5, description="Failures within `failure_window` after which a replica is left stopped."
    )
    failure_window: PositiveDuration = Field(
        5 * MINUTE, description="The time in which `max_failures` are counted."
    )
    probe_interval: PositiveDuration = Field(
        1.0, description="Time between two checks of a replica."
    )

    @model_validator(mode="after")
    def _check_backoff_grows(self) -> Self:
        if self.backoff_initial > self.backoff_max:
            raise Conflict(
                "backoff_initial",
                f"{format_duration(self.backoff_initial)} is longer than backoff_max, "
                f"{format_duration(self.backoff_max)}; lower backoff_initial or raise backoff_max",
            )
        return self


class Lengths(Table):
    """Tokens of one request: a normal distribution, rounded, at least 1."""

    mean: PositiveInt = Field(128, description="Mean, in tokens.")
    stddev: NaturalInt = Field(0, description="Standard deviation, in tokens.")

    @model_validator(mode="after")
    def _check_mean_can_hold(self) -> Self:
        if self.stddev > self.mean:
            raise Conflict(
                "stddev",
                f"{self.stddev} is more than the mean, {self.mean}: lengths start at 1 token, so "
                f"the mean could not hold; use {self.mean} or less",
            )
        return self


class WorkloadSpec(Table):
    """What the benchmark sends and the planner assumes."""

    input_tokens: Lengths = Field(
        default=Lengths(), description="Prompt length of a request, normally distributed."
    )
    output_tokens: Lengths = Field(
        default=Lengths(), description="Output length of a request, normally distributed."
    )
    requests: PositiveInt = Field(64, description="Requests of one run.")
    concurrency: PositiveInt | None = Field(
        None,
        description="Requests in flight at the same time. Unset: `replicas` x `batch_size`.",
        examples=[8],
    )
    seed: NaturalInt | None = Field(
        None,
        description="Seed of lengths and prompts. Unset: a new one at each run, so that no "
        "server answers from its prefix cache.",
        examples=[1],
    )


class SloSpec(Table):
    """Service level objectives: what counts as good. Unset ones are met by every request."""

    ttft_p99: PositiveDuration | None = Field(
        None, description="Time to first token, 99th percentile.", examples=["5s"]
    )
    tpot_p99: PositiveDuration | None = Field(
        None,
        description="Time per output token after the first, 99th percentile.",
        examples=["60ms"],
    )


class Spec(Table):
    """One deployment."""

    name: Name = Field(
        "default", description="Names the state folder, the logs and the metrics label."
    )
    model: ModelSpec = Field(default=ModelSpec())
    layout: LayoutSpec = Field(default=LayoutSpec())
    engine: EngineSpec = Field(default=EngineSpec())
    gateway: GatewaySpec = Field(default=GatewaySpec())
    supervisor: SupervisorSpec = Field(default=SupervisorSpec())
    workload: WorkloadSpec = Field(default=WorkloadSpec())
    slo: SloSpec = Field(default=SloSpec())

    @model_validator(mode="after")
    def _check_one_replica_per_endpoint(self) -> Self:
        replicas, endpoints = self.layout.replicas, len(self.engine.remote.endpoints)
        if self.engine.kind == "remote" and replicas not in ("auto", endpoints):
            raise Conflict(
                "layout.replicas",
                f"{replicas} is not the number of engine.remote.endpoints; "
                f'use {endpoints} or "auto"',
            )
        return self

    @model_validator(mode="after")
    def _check_workload_fits(self) -> Self:
        longest, given = self.layout.max_model_len, self.workload.model_fields_set
        tokens = self.workload.input_tokens.mean + self.workload.output_tokens.mean
        if longest == "auto" or tokens <= longest or not given & {"input_tokens", "output_tokens"}:
            return self
        raise Conflict(
            "layout.max_model_len",
            f"{longest} is less than the {tokens} tokens of a mean request in [workload], input "
            f"plus output; use {tokens} or more, or shorter lengths",
        )
