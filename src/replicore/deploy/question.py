"""From a spec, on the machine that it is for, to the question that a plan answers."""

from __future__ import annotations

from collections.abc import Sequence

from replicore.cores import NO_CORES, CoreRange
from replicore.deploy.deployment import Prepared
from replicore.deploy.layout import AUTO_MAX_MODEL_LEN
from replicore.deploy.padding import padded_prompt
from replicore.deploy.placement import explain_shortage
from replicore.deploy.planned_cores import planned_cores
from replicore.deploy.planned_memory import paged, planned_memory
from replicore.deploy.planned_precision import precision_of
from replicore.deploy.room import Room
from replicore.engines.llamacpp_options import MAX_SLOTS
from replicore.engines.sim.profiles import PROFILES
from replicore.errors import ConfigError, InfeasiblePlan
from replicore.hardware.device import Device
from replicore.models.infer import anatomy_of
from replicore.planner.layouts import batch_sizes as sizes_up_to
from replicore.planner.legality import Splits
from replicore.planner.question import (
    Degree,
    Lengths,
    Load,
    Question,
    Slo,
    StaticLengths,
)
from replicore.spec import Spec
from replicore.spec.tables import Lengths as LengthsSpec

# Slots that are tried at most. Memory usually says no before.
_MOST_SLOTS = {"vllm": 512, "sim": 256, "neuron": 64, "llamacpp": min(64, MAX_SLOTS)}


def question_of(
    prepared: Prepared,
    *,
    load: Load | None = None,
    slo: Slo | None = None,
    risk: float = 0.05,
    device: Device | None = None,
    batch_sizes: Sequence[int] | None = None,
    taken: CoreRange = NO_CORES,
) -> Question:
    """Return the question; all layouts are asked about, whichever the spec has.

    Args:
        load: Instead of the spec's ``workload.concurrency``; without either all slots are taken.
        slo: Instead of the spec's.
        device: What the cores are, instead of what the machine says.
        batch_sizes: Slots to try; powers of two and the spec's own for None.
        taken: Cores that other deployments hold.

    Raises:
        ConfigError: The engine or the device is none that can be planned for, or a mean request is
            longer than ``layout.max_model_len``.
    """
    spec, shape = prepared.spec, prepared.model.shape
    length = _max_model_len(prepared)
    precision, prompts = precision_of(prepared), _lengths(spec.workload.input_tokens)
    room = _room(prepared, length, taken)
    cores = planned_cores(spec.engine, prepared.machine, usable=len(room.free), device=device)
    return Question(
        name=spec.name,
        model=prepared.model.served_name,
        engine=spec.engine.kind,
        anatomy=anatomy_of(shape),
        precision=precision,
        cores=cores,
        degrees=tuple(_degrees(prepared, room, cores.rank_cores)),
        memory=planned_memory(prepared, precision),
        max_model_len=length,
        input_tokens=prompts,
        output_tokens=_lengths(spec.workload.output_tokens),
        batch_sizes=tuple(batch_sizes or _batch_sizes(spec)),
        paged=paged(prepared),
        static=_static(spec, prompts, length),
        slo=slo or Slo(ttft_p99_s=spec.slo.ttft_p99, tpot_p99_s=spec.slo.tpot_p99),
        load=load or Load(concurrency=spec.workload.concurrency),
        own_size=_own_size(spec),
        own_batch_size=spec.layout.batch_size,
        routing=spec.gateway.policy,
        risk=risk,
    )


def _batch_sizes(spec: Spec) -> tuple[int, ...]:
    return sizes_up_to(_MOST_SLOTS[spec.engine.kind], spec.layout.batch_size)


def _lengths(lengths: LengthsSpec) -> Lengths:
    return Lengths(mean=lengths.mean, stddev=lengths.stddev)


def _own_size(spec: Spec) -> str:
    layout = spec.layout
    if "auto" in (layout.replicas, layout.tp):
        return ""
    return f"{layout.replicas}x{layout.tp}x{layout.batch_size}"


def _max_model_len(prepared: Prepared) -> int:
    """Return what `replicore up` would take, if a mean request fits into it."""
    layout, workload = prepared.spec.layout, prepared.spec.workload
    longest = prepared.model.shape.max_model_len
    asked = layout.max_model_len
    length = min(AUTO_MAX_MODEL_LEN, longest) if asked == "auto" else min(asked, longest)
    mean = workload.input_tokens.mean + workload.output_tokens.mean
    if mean > length:
        works = f"set it to {mean} or more" if mean <= longest else "use shorter requests"
        raise ConfigError(
            f"layout.max_model_len: {length} is less than the {mean} tokens of a mean request in "
            f"[workload], and the model's maximum is {longest}; {works}"
        )
    return length


def _static(spec: Spec, prompts: Lengths, max_model_len: int) -> StaticLengths | None:
    """Return what is compiled for, of the engines whose batch is."""
    if spec.engine.kind == "sim":
        profile = PROFILES.get(spec.engine.sim.profile or "")
        batching = spec.engine.sim.batching or (profile.batching if profile else None)
        return StaticLengths() if batching == "static" else None
    if spec.engine.kind != "neuron" or spec.engine.neuron.generation == "native":
        return None
    return StaticLengths(prompt_tokens=padded_prompt(spec.engine.neuron, prompts, max_model_len))


def _room(prepared: Prepared, max_model_len: int, taken: CoreRange) -> Room:
    machine, layout = prepared.machine, prepared.spec.layout
    return Room(
        machine=machine,
        allowed=machine.cores & (layout.cores or machine.cores),
        taken=taken & machine.cores,
        legal_tp=prepared.legal_tp,
        memory=lambda **sizes: prepared.engine.memory_bytes(prepared.model.shape, **sizes),
        batch_size=layout.batch_size,
        max_model_len=max_model_len,
    )


def _degrees(prepared: Prepared, room: Room, rank_cores: int | None) -> list[Degree]:
    machine = prepared.machine
    splits = Splits(
        machine=machine,
        shape=prepared.model.shape,
        legal=prepared.legal_tp,
        rank_cores=rank_cores,
        on_vllm=prepared.spec.engine.kind == "vllm",
    )
    degrees = []
    for tp in splits.worth_a_look():
        refusal = splits.refusal(tp)
        most = 0 if refusal else min(room.count_by_cores(tp), room.count_by_quota(tp))
        crowded = explain_shortage(most + 1, tp, machine, within=room.free)
        degrees.append(
            Degree(
                tp=tp,
                replicas=most,
                held=_held(room, tp, most),
                refusal=refusal,
                crowded=crowded,
            )
        )
    return degrees


def _held(room: Room, tp: int, most: int) -> int:
    """Return how many replicas the memory holds, as `replicore up` counts them, of ``most``."""
    try:
        return min(most, room.count_by_memory(tp)) if most else 0
    except InfeasiblePlan:
        return 0
