"""From a spec to what a plan is asked."""

from __future__ import annotations

from dataclasses import replace

from replicore.cores import CoreRange
from replicore.deploy.deployment import Prepared, lay_out, prepare
from replicore.deploy.question import question_of
from replicore.hardware.machine import NumaNode
from replicore.planner.question import Load, Question, Slo
from replicore.spec.load import load_spec
from replicore.units import GIB


def prepared(**keys: object) -> Prepared:
    """Return a simulated H100's, ``layout__tp`` standing for the key ``layout.tp``."""
    simulated = {"engine.kind": "sim", "engine.sim.profile": "h100"}
    dotted = {key.replace("__", "."): value for key, value in keys.items()}
    return prepare(load_spec(None, environ={}, overrides=simulated | dotted), outline=True)


def asked(**keys: object) -> Question:
    return question_of(prepared(**keys))


def test_the_specs_slots_are_kept_unless_a_limit_or_a_rate_decides() -> None:
    found = prepared(layout__batch_size=6)

    assert question_of(found).kept_batch_size == 6
    assert question_of(found, load=Load(concurrency=3)).kept_batch_size == 6
    assert question_of(found, load=Load(rate_per_s=3)).kept_batch_size is None
    assert question_of(found, slo=Slo(ttft_p99_s=3)).kept_batch_size is None


def test_slots_of_the_spec_are_tried_with_the_powers_of_two() -> None:
    assert {1, 2, 4, 6, 8} <= set(asked(layout__batch_size=6).batch_sizes)


def test_simulated_cores_are_as_many_times_faster_as_the_simulation() -> None:
    life, fast = (asked(engine__sim__speed=speed).cores.sheet.device(1) for speed in (1, 20))

    assert fast.bytes_per_s == 20 * life.bytes_per_s
    assert (fast.flops_16, fast.flops_8) == (20 * life.flops_16, 20 * life.flops_8)


def test_replicas_that_the_memory_holds_are_counted_as_up_counts_them() -> None:
    found, cores = prepared(engine__kind="llamacpp"), CoreRange(tuple(range(16)))
    machine = replace(
        found.machine,
        cores=cores,
        core_limit=16,
        numa=(NumaNode(index=0, cores=cores),),
        memory_bytes=2 * GIB,
    )
    small = replace(found, machine=machine, legal_tp=(1, 2))

    degree = question_of(small).degrees[0]

    assert (degree.tp, degree.replicas) == (1, 16)
    assert degree.held == lay_out(small, predict=False).layout.replicas < 16
