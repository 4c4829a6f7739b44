"""The memory rules of a spec's engine, as a plan asks them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace

from replicore.deploy.deployment import Prepared
from replicore.deploy.room import readable
from replicore.engines import llamacpp_options
from replicore.engines.sim.profiles import PROFILES, Profile, kv_token_bytes
from replicore.engines.vllm import memory as vllm_memory
from replicore.engines.vllm import options as vllm_options
from replicore.hardware.neuron.detect import NeuronHardware
from replicore.planner.memory import neuron, shared, vllm
from replicore.planner.memory.rank import RankMemory
from replicore.planner.question import MemoryRules
from replicore.planner.step.precision import Precision
from replicore.units import GIB
from replicore.wording import pluralize


def planned_memory(prepared: Prepared, precision: Precision) -> MemoryRules:
    """Return the rules: the planner's own for the engine, and what `replicore up` checks."""
    kind, machine = prepared.spec.engine.kind, prepared.machine
    if kind == "llamacpp":
        return LlamaCppRules(prepared)
    if kind == "neuron" and not paged(prepared):
        return NeuronRules(prepared)
    if kind == "vllm":
        on_cpu = machine.kind == "cpu"
        return VllmCpuRules(prepared) if on_cpu else VllmRules(prepared, precision)
    profile = PROFILES.get(prepared.spec.engine.sim.profile or "")
    return SimRules(prepared, profile) if profile is not None else EngineRules(prepared)


def paged(prepared: Prepared) -> bool:
    """Whether sequences share one KV cache, rather than have their own slot's."""
    engine = prepared.spec.engine
    if engine.kind == "sim":
        profile = PROFILES.get(engine.sim.profile or "")
        return profile is None or profile.batching == "continuous"
    if engine.kind == "neuron":
        return engine.neuron.generation == "native"
    return engine.kind == "vllm"


class _Rules(ABC):
    """Rules that end with what the engine itself says, so that a plan and `up` agree."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self._shape = prepared.model.shape
        self._machine = prepared.machine
        self._needed: dict[tuple[int, int, int], int] = {}

    def __call__(
        self, *, replicas: int, tp: int, batch_size: int, max_model_len: int
    ) -> tuple[RankMemory, str]:
        found, refusal = self._rank(replicas, tp, batch_size, max_model_len)
        return found, refusal or self._refusal(replicas, tp, batch_size, max_model_len)

    @abstractmethod
    def _rank(
        self, replicas: int, tp: int, batch_size: int, max_model_len: int
    ) -> tuple[RankMemory, str]: ...

    def _engine_bytes(self, tp: int, batch_size: int, max_model_len: int) -> int:
        key = (tp, batch_size, max_model_len)
        if key not in self._needed:
            self._needed[key] = self._prepared.engine.memory_bytes(
                self._shape, tp=tp, batch_size=batch_size, max_model_len=max_model_len
            )
        return self._needed[key]

    def _refusal(self, replicas: int, tp: int, batch_size: int, max_model_len: int) -> str:
        needed = self._engine_bytes(tp, batch_size, max_model_len)
        room, memory = self._machine.replica_memory_bytes(tp), self._machine.memory_bytes
        if needed > room:
            return (
                f"batch_size = {batch_size} with max_model_len = {max_model_len} needs "
                f"{readable(needed)} on {pluralize(tp, 'core')} of {readable(room)} in all"
            )
        if replicas * needed > memory:
            return (
                f"{replicas} replicas of {readable(needed)} need more than {readable(memory)}, "
                f"which is enough for {memory // needed}"
            )
        return ""


class LlamaCppRules(_Rules):
    """llama.cpp: all replicas share the machine's memory."""

    def _rank(
        self, replicas: int, tp: int, batch_size: int, max_model_len: int
    ) -> tuple[RankMemory, str]:
        found = shared.llamacpp_replica(
            self._shape,
            tp=tp,
            batch_size=batch_size,
            max_model_len=max_model_len,
            memory_bytes=self._machine.memory_bytes,
            replicas=replicas,
            options=llamacpp_options.parse_options(self._prepared.spec.engine.args),
        )
        self._needed[tp, batch_size, max_model_len] = found.needed
        refusal = shared.refuse(found, replicas=replicas)
        return found, refusal.reason if refusal else ""


class NeuronRules(_Rules):
    """A compiled model: the KV cache of every slot is allocated."""

    def __init__(self, prepared: Prepared) -> None:
        super().__init__(prepared)
        spec = prepared.spec.engine.neuron
        self._lnc = NeuronHardware(spec.instance, lnc=spec.lnc).inspect().lnc

    def _rank(
        self, replicas: int, tp: int, batch_size: int, max_model_len: int
    ) -> tuple[RankMemory, str]:
        found = neuron.neuron_rank(
            self._shape,
            self._prepared.spec.engine.neuron,
            tp=tp,
            lnc=self._lnc,
            batch_size=batch_size,
            max_model_len=max_model_len,
            core_bytes=self._machine.replica_memory_bytes(1),
        )
        self._needed[tp, batch_size, max_model_len] = tp * found.needed
        refusal = neuron.refuse(found, batch_size=batch_size, max_model_len=max_model_len)
        return found, refusal.reason if refusal else ""


class VllmRules(_Rules):
    """vLLM on devices: the KV cache is all that its share of the memory leaves."""

    def __init__(self, prepared: Prepared, precision: Precision) -> None:
        super().__init__(prepared)
        spec = prepared.spec.engine
        options = vllm_options.parse_options(spec.args)
        own = prepared.machine.core_memory_bytes or prepared.machine.memory_bytes
        self._device_bytes = round(own / spec.vllm.memory_fraction)
        tokens = vllm.usual_limits(self._device_bytes)[1]
        self._limits = vllm.VllmLimits(
            utilisation=spec.vllm.memory_fraction / spec.vllm.replicas_per_device,
            max_num_batched_tokens=_number(options, "--max-num-batched-tokens", tokens),
            kv_element_bytes=precision.kv_bytes,
            weight_bytes_per_param=precision.weight_bytes,
        )

    def _rank(
        self, replicas: int, tp: int, batch_size: int, max_model_len: int
    ) -> tuple[RankMemory, str]:
        limits = replace(self._limits, max_num_seqs=batch_size)
        found = vllm.vllm_rank(self._shape, tp=tp, device_bytes=self._device_bytes, limits=limits)
        refusal = vllm.refuse(
            self._shape,
            tp=tp,
            device_bytes=self._device_bytes,
            max_model_len=max_model_len,
            limits=limits,
        )
        return found, refusal.reason if refusal else ""


class VllmCpuRules(_Rules):
    """vLLM on CPU cores: a KV cache of ``engine.vllm.cpu_kv_cache``, however many the slots."""

    def _rank(
        self, replicas: int, tp: int, batch_size: int, max_model_len: int
    ) -> tuple[RankMemory, str]:
        spec, shape = self._prepared.spec.engine, self._shape
        options = vllm_options.parse_options(spec.args)
        ranks = max(1, tp // spec.vllm.cores_per_rank)
        needed = self._engine_bytes(tp, batch_size, max_model_len)
        kv = ranks * GIB * vllm_memory.cpu_kv_cache_gib(spec.vllm.cpu_kv_cache, ranks)
        element = vllm_memory.element_bytes(spec.vllm.dtype, options)
        token = vllm_memory.kv_bytes_per_token(shape, ranks, element)
        weights = vllm_memory.weight_bytes(shape, spec.vllm.dtype, options, ranks)
        found = RankMemory(
            capacity=self._machine.memory_bytes // (replicas * tp),
            weights=weights // tp,
            kv=kv // tp,
            kv_per_token=max(1, token // tp),
            activation=0,
            overhead=max(0, needed - weights - kv) // tp,
        )
        return found, ""


class EngineRules(_Rules):
    """Any other engine: its sum, of which the weights are known."""

    def _rank(
        self, replicas: int, tp: int, batch_size: int, max_model_len: int
    ) -> tuple[RankMemory, str]:
        needed = self._engine_bytes(tp, batch_size, max_model_len)
        token = self._shape.kv_bytes_per_token()
        kv = batch_size * max_model_len * token
        found = RankMemory(
            capacity=self._machine.memory_bytes // (replicas * tp),
            weights=self._shape.weight_bytes // tp,
            kv=kv // tp,
            kv_per_token=max(1, token // tp),
            activation=0,
            overhead=max(0, needed - self._shape.weight_bytes - kv) // tp,
        )
        return found, ""


class SimRules(_Rules):
    """A simulated device: what its profile reserves, and the rest for the KV cache."""

    def __init__(self, prepared: Prepared, profile: Profile) -> None:
        super().__init__(prepared)
        self._profile = profile

    def _rank(
        self, replicas: int, tp: int, batch_size: int, max_model_len: int
    ) -> tuple[RankMemory, str]:
        profile, shape = self._profile, self._shape
        token = max(1, kv_token_bytes(shape, tp=tp) // tp)
        capacity = profile.memory_bytes or self._machine.memory_bytes // (replicas * tp)
        weights = shape.weight_bytes // tp
        slots = batch_size * max_model_len * token
        free = capacity - weights - profile.reserved_bytes
        found = RankMemory(
            capacity=capacity,
            weights=weights,
            kv=slots if profile.batching == "static" else free,
            kv_per_token=token,
            activation=0,
            overhead=profile.reserved_bytes,
        )
        return found, ""


def _number(options: Mapping[str, str], name: str, otherwise: int) -> int:
    text = options.get(name, "")
    return int(text) if text.isdecimal() else otherwise
