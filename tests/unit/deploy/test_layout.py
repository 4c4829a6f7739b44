from __future__ import annotations

from dataclasses import replace
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicore.cores import NO_CORES, CoreRange
from replicore.deploy.layout import Layout, choose_layout
from replicore.errors import InfeasiblePlan
from replicore.hardware.machine import Holder, Machine, NumaNode
from replicore.models.shape import ModelShape
from replicore.spec import LayoutSpec

GIB = 2**30

SHAPE = ModelShape(
    architecture="llama",
    layers=30,
    hidden=576,
    heads=9,
    kv_heads=3,
    head_dim=64,
    vocab=49152,
    max_model_len=8192,
    weight_bytes=1 * GIB,
)
LLAMA_70B_BYTES = 141 * 10**9


def replica_bytes(*, tp: int, batch_size: int, max_model_len: int) -> int:
    """1 GiB of weights, and 1 GiB for each 4 slots of 4096 tokens: 2 GiB at the defaults."""
    return GIB + batch_size * max_model_len * GIB // 16384


def cpu(cores: str, *, core_limit: int | None = None, memory_gib: float = 1024) -> Machine:
    usable = CoreRange.parse(cores)
    return Machine(
        kind="cpu",
        name="AMD EPYC",
        cores=usable,
        core_limit=core_limit or len(usable),
        numa=(NumaNode(index=0, cores=usable),),
        memory_bytes=int(memory_gib * GIB),
    )


def trn2() -> Machine:
    """A trn2.48xlarge with LNC 2: 64 logical cores with 24 GiB each."""
    cores = CoreRange.parse("0-63")
    far = CoreRange.parse("16-47")
    return Machine(
        kind="neuron",
        name="trn2.48xlarge",
        cores=cores,
        core_limit=64,
        numa=(NumaNode(index=0, cores=far), NumaNode(index=1, cores=cores - far)),
        memory_bytes=64 * 24 * GIB,
        core_memory_bytes=24 * GIB,
        legal_tp=(1, 2, 4, 8, 16, 32, 64),
        aligned=True,
    )


def held(machine: Machine, *holders: Holder) -> Machine:
    busy = CoreRange.of(core for holder in holders for core in holder.cores)
    return replace(machine, busy=busy, holders=holders)


def choose(wanted: LayoutSpec, machine: Machine, *, taken: CoreRange = NO_CORES) -> Layout:
    powers = tuple(2**n for n in range(7) if 2**n <= len(machine.cores))
    return choose_layout(
        wanted,
        machine,
        SHAPE,
        legal_tp=machine.legal_tp or powers,
        memory_bytes=replica_bytes,
        taken=taken,
    )


def refusal(wanted: LayoutSpec, machine: Machine, *, taken: CoreRange = NO_CORES) -> str:
    with pytest.raises(InfeasiblePlan) as caught:
        choose(wanted, machine, taken=taken)
    return caught.value.message


def ranges(layout: Layout) -> list[str]:
    return [str(cores) for cores in layout.ranges]


def test_an_empty_spec_gets_one_replica_on_every_core() -> None:
    layout = choose(LayoutSpec(), cpu("0-1"))

    assert ranges(layout) == ["0", "1"]
    assert (layout.replicas, layout.tp) == (2, 1)
    assert (layout.batch_size, layout.max_model_len) == (4, 4096)
    assert layout.reason == (
        "2 replicas x 1 core: tp 1 is the smallest whose memory (2.0 GiB) fits; 2 cores are usable"
    )


def test_one_core_has_one_replica() -> None:
    layout = choose(LayoutSpec(), cpu("7"))

    assert ranges(layout) == ["7"]
    assert layout.reason.startswith("1 replica x 1 core:")
    assert layout.reason.endswith("1 core is usable")


def test_open_tp_is_the_largest_that_the_wanted_replicas_fit_with() -> None:
    layout = choose(LayoutSpec(replicas=2), cpu("0-8"))

    assert ranges(layout) == ["0-3", "4-7"]
    assert layout.reason == (
        "2 replicas x 4 cores: tp 4 is the largest that fits with 2 replicas; 9 cores are usable"
    )


def test_open_replicas_are_as_many_as_fit_with_the_wanted_tp() -> None:
    layout = choose(LayoutSpec(tp=2), cpu("0-6"))

    assert ranges(layout) == ["0-1", "2-3", "4-5"]
    assert layout.reason == (
        "3 replicas x 2 cores: as many replicas as fit with tp 2; 7 cores are usable"
    )


def test_a_complete_spec_is_taken_as_it_is() -> None:
    wanted = LayoutSpec(replicas=2, tp=2, batch_size=3, max_model_len=100)

    layout = choose(wanted, cpu("0-7"))

    assert ranges(layout) == ["0-1", "2-3"]
    assert (layout.batch_size, layout.max_model_len) == (3, 100)
    assert layout.reason == "2 replicas x 2 cores: as the spec says; 8 cores are usable"


def test_only_the_wanted_cores_are_used() -> None:
    layout = choose(LayoutSpec(cores=CoreRange.parse("2,5-6")), cpu("0-7"))

    assert ranges(layout) == ["2", "5", "6"]


def test_cores_of_other_deployments_are_left_alone() -> None:
    layout = choose(LayoutSpec(tp=2), cpu("0-7"), taken=CoreRange.parse("1-3"))

    assert ranges(layout) == ["0,4", "5-6"]


def test_a_quota_limits_the_replicas_and_the_reason_says_so() -> None:
    layout = choose(LayoutSpec(), cpu("0-7", core_limit=3))

    assert ranges(layout) == ["0", "1", "2"]
    assert layout.reason.endswith("8 cores are usable; the CPU quota allows 3 busy at once")


def test_memory_that_all_replicas_share_limits_them_and_the_reason_says_so() -> None:
    layout = choose(LayoutSpec(), cpu("0-7", memory_gib=7))

    assert ranges(layout) == ["0", "1", "2"]
    assert layout.reason.endswith("8 cores are usable; 7.0 GiB of memory is available")


def test_open_tp_grows_until_the_memory_of_its_cores_holds_a_replica() -> None:
    layout = choose_layout(
        LayoutSpec(),
        trn2(),
        SHAPE,
        legal_tp=(1, 2, 4, 8, 16, 32, 64),
        memory_bytes=lambda *, tp, batch_size, max_model_len: LLAMA_70B_BYTES,
    )

    assert ranges(layout) == [f"{start}-{start + 7}" for start in range(0, 64, 8)]
    assert "tp 8 is the smallest whose memory (131.3 GiB) fits" in layout.reason


def test_the_tutorial_layout_takes_both_halves_of_trn2() -> None:
    assert ranges(choose(LayoutSpec(replicas=2, tp=32), trn2())) == ["0-31", "32-63"]


def test_a_second_deployment_on_trn2_stays_aligned() -> None:
    layout = choose(LayoutSpec(tp=16), trn2(), taken=CoreRange.parse("0-7"))

    assert ranges(layout) == ["16-31", "32-47", "48-63"]


def test_cores_that_strangers_hold_are_left_alone_and_the_reason_says_so() -> None:
    machine = held(trn2(), Holder(cores=CoreRange.parse("0-15"), pid=7, command="python x.py"))

    layout = choose(LayoutSpec(tp=16), machine)

    assert ranges(layout) == ["16-31", "32-47", "48-63"]
    assert layout.reason.endswith("48 cores are usable; other processes hold 0-15")


def test_an_unverified_tp_is_taken_when_asked_for_and_the_reason_says_so() -> None:
    machine = replace(trn2(), name="inf2.24xlarge", unverified_tp=(9, 12))

    layout = choose(LayoutSpec(replicas=1, tp=9), machine)

    assert ranges(layout) == ["0-8"]
    assert layout.reason.endswith("; tp 9 is unverified on inf2.24xlarge")


def test_an_unverified_tp_is_never_chosen() -> None:
    machine = replace(trn2(), legal_tp=(1, 2), unverified_tp=(4,))

    assert choose(LayoutSpec(replicas=1), machine).tp == 2


@pytest.mark.parametrize(("trained", "chosen"), [(2048, 2048), (4096, 4096), (131072, 4096)])
def test_open_max_model_len_is_the_models_up_to_4096(trained: int, chosen: int) -> None:
    shape = ModelShape(
        **{name: getattr(SHAPE, name) for name in SHAPE.__slots__ if name != "max_model_len"},
        max_model_len=trained,
    )

    layout = choose_layout(LayoutSpec(), cpu("0"), shape, legal_tp=(1,), memory_bytes=replica_bytes)

    assert layout.max_model_len == chosen


@pytest.mark.parametrize(
    ("wanted", "machine", "taken", "message"),
    [
        (
            LayoutSpec(replicas=3, tp=2),
            cpu("0-3"),
            "",
            "3 replicas x 2 cores need 6 cores, 4 are usable (0-3); these fit: 1x4, 2x2, 4x1",
        ),
        (
            LayoutSpec(replicas=5),
            cpu("0-3"),
            "",
            "5 replicas x 1 core need 5 cores, 4 are usable (0-3); these fit: 1x4, 2x2, 4x1",
        ),
        (
            LayoutSpec(tp=3),
            cpu("0-3"),
            "",
            "layout.tp: 3 is not a legal tensor parallel degree of this model on AMD EPYC; "
            "these are: 1, 2, 4; these fit: 1x4, 2x2, 4x1",
        ),
        (
            LayoutSpec(tp=4),
            cpu("0-3"),
            "1",
            "1 replica x 4 cores needs 4 cores, 3 are usable (0,2-3), other deployments hold 1; "
            "these fit: 1x2, 3x1",
        ),
        (
            LayoutSpec(),
            cpu("0-3"),
            "0-3",
            'no core of "0-3" is free: other deployments hold 0-3',
        ),
        (
            LayoutSpec(cores=CoreRange.parse("2-5")),
            cpu("0-3"),
            "",
            'layout.cores: 4-5 of "2-5" cannot be used here; these can: 0-3',
        ),
        (
            LayoutSpec(max_model_len=8193),
            cpu("0-3"),
            "",
            "layout.max_model_len: 8193 is longer than the model's maximum; up to 8192 tokens work",
        ),
        (
            LayoutSpec(replicas=4),
            cpu("0-7", core_limit=3),
            "",
            "4 replicas x 1 core would keep 4 cores busy, the CPU quota allows 3; "
            "these fit: 1x2, 3x1",
        ),
        (
            LayoutSpec(replicas=4, tp=2),
            cpu("0-7", core_limit=6),
            "",
            "4 replicas x 2 cores would keep 8 cores busy, the CPU quota allows 6; "
            "these fit: 1x4, 3x2, 6x1",
        ),
        (
            LayoutSpec(),
            cpu("0-7", core_limit=3),
            "0-2",
            "1 replica x 1 core would keep 1 core busy, the CPU quota allows 3, "
            "other deployments hold 0-2; no other layout fits",
        ),
        (
            LayoutSpec(replicas=4, tp=1),
            cpu("0-7", core_limit=4, memory_gib=7),
            "",
            "4 replicas x 1 core need 8.0 GiB of memory (2.0 GiB each), 7.0 GiB is available; "
            "these fit: 1x4, 2x2, 3x1",
        ),
        (
            LayoutSpec(replicas=4, tp=1),
            cpu("0-7", memory_gib=7),
            "",
            "4 replicas x 1 core need 8.0 GiB of memory (2.0 GiB each), 7.0 GiB is available; "
            "these fit: 1x8, 2x4, 3x2",
        ),
        (
            LayoutSpec(),
            cpu("0-1", memory_gib=1),
            "",
            "one replica of tp 2 with batch_size 4 and max_model_len 4096 needs 2.0 GiB of memory, "
            "1.0 GiB is available; only a smaller or more quantised model would fit",
        ),
        (
            LayoutSpec(batch_size=8, max_model_len=8192),
            cpu("0", memory_gib=2),
            "",
            "one replica of tp 1 with batch_size 8 and max_model_len 8192 needs 5.0 GiB of memory, "
            "2.0 GiB is available; batch_size 8 with max_model_len 2048 or batch_size 2 with "
            "max_model_len 8192 would fit",
        ),
        (
            LayoutSpec(batch_size=8, max_model_len=8192),
            cpu("0", memory_gib=1.1),
            "",
            "one replica of tp 1 with batch_size 8 and max_model_len 8192 needs 5.0 GiB of memory, "
            "1.1 GiB is available; batch_size 1 with max_model_len 1024 would fit",
        ),
        (
            LayoutSpec(replicas=1, tp=32, cores=CoreRange.parse("8-60")),
            trn2(),
            "",
            "1 replica x 32 cores needs 1 free range of 32 that starts on a multiple of 32, there "
            "are 0: 53 are usable (8-60); these fit: 2x16, 6x8, 13x4, 26x2, 53x1; "
            '1x32 would with layout.cores = "32-63"',
        ),
    ],
)
def test_a_plan_that_does_not_fit_says_why_and_what_would(
    wanted: LayoutSpec, machine: Machine, taken: str, message: str
) -> None:
    held = CoreRange.parse(taken) if taken else NO_CORES

    assert refusal(wanted, machine, taken=held) == message


PYTHON = Holder(cores=CoreRange.parse("0-31"), pid=221607, command="python -m vllm")
UNSEEN = Holder(cores=CoreRange.parse("32-35"), command="process 5 of another pid namespace")
NAMELESS = Holder(cores=CoreRange.parse("40-43"), pid=9)


@pytest.mark.parametrize(
    ("holders", "taken", "message"),
    [
        (
            [PYTHON],
            "",
            "2 replicas x 32 cores need 64 cores, 32 are usable (32-63), "
            'pid 221607 ("python -m vllm") holds 0-31; these fit: 1x32, 2x16, 4x8, 8x4, 16x2, 32x1',
        ),
        (
            [PYTHON, UNSEEN, NAMELESS],
            "",
            "2 replicas x 32 cores need 64 cores, 24 are usable (36-39,44-63), "
            'pid 221607 ("python -m vllm") holds 0-31, process 5 of another pid namespace holds '
            "32-35, pid 9 holds 40-43; these fit: 1x16, 2x8, 6x4, 12x2, 24x1",
        ),
        (
            [PYTHON],
            "0-31",
            "2 replicas x 32 cores need 64 cores, 32 are usable (32-63), other deployments hold "
            "0-31; these fit: 1x32, 2x16, 4x8, 8x4, 16x2, 32x1",
        ),
        (
            [Holder(cores=CoreRange.parse(f"{core}"), pid=core + 100) for core in range(60)],
            "",
            "2 replicas x 32 cores need 64 cores, 4 are usable (60-63), pid 100 holds 0, pid 101 "
            "holds 1, pid 102 holds 2, 57 more processes hold 3-59; these fit: 1x4, 2x2, 4x1",
        ),
        (
            [PYTHON, replace(NAMELESS, cores=CoreRange.parse("32-63"))],
            "",
            'no core of "0-63" is free: pid 221607 ("python -m vllm") holds 0-31, pid 9 holds '
            "32-63",
        ),
    ],
)
def test_who_holds_cores_is_named_where_they_are_missing(
    holders: list[Holder], taken: str, message: str
) -> None:
    machine = held(trn2(), *holders)
    others = CoreRange.parse(taken) if taken else NO_CORES

    assert refusal(LayoutSpec(replicas=2, tp=32), machine, taken=others) == message


def test_who_holds_cores_that_the_spec_leaves_out_is_not_named() -> None:
    wanted = LayoutSpec(replicas=2, tp=16, cores=CoreRange.parse("32-63"))
    machine = held(trn2(), PYTHON, NAMELESS)

    message = refusal(wanted, machine, taken=CoreRange.parse("0-15"))

    assert message.startswith(
        "2 replicas x 16 cores need 32 cores, 28 are usable (32-39,44-63), pid 9 holds 40-43; "
    )


def test_who_holds_cores_is_named_where_only_a_larger_tp_has_the_memory() -> None:
    with pytest.raises(InfeasiblePlan) as caught:
        choose_layout(
            LayoutSpec(),
            held(trn2(), PYTHON),
            SHAPE,
            legal_tp=(1, 2, 4, 8, 16, 32, 64),
            memory_bytes=lambda *, tp, batch_size, max_model_len: 6 * LLAMA_70B_BYTES,
        )

    assert "768.0 GiB is available, pid 221607 (" in caught.value.message


def test_other_cores_are_named_only_where_cores_are_the_obstacle() -> None:
    wanted = LayoutSpec(replicas=4, tp=1, cores=CoreRange.parse("0-5"))

    assert "layout.cores" not in refusal(wanted, cpu("0-7", memory_gib=7))


@pytest.mark.parametrize(
    ("tp", "heads", "message"),
    [
        (128, 64, "layout.tp: 128 is more than the 64 cores of trn2.48xlarge; "),
        (24, 64, "layout.tp: 24 is not a tensor parallel degree that trn2.48xlarge supports; "),
        (16, 40, "layout.tp: 16 does not divide the 40 attention heads of the model; "),
    ],
)
def test_an_illegal_tp_is_refused_with_the_reason_and_what_is_legal(
    tp: int, heads: int, message: str
) -> None:
    machine = trn2()
    degrees = tuple(legal for legal in machine.legal_tp or () if heads % legal == 0)

    with pytest.raises(InfeasiblePlan) as caught:
        choose_layout(
            LayoutSpec(replicas=2, tp=tp),
            machine,
            replace(SHAPE, heads=heads),
            legal_tp=degrees,
            memory_bytes=replica_bytes,
        )

    assert caught.value.message.startswith(message)
    assert f"these are: {', '.join(map(str, degrees))}; these fit: " in caught.value.message


def test_a_tp_with_too_little_memory_names_one_with_enough() -> None:
    with pytest.raises(InfeasiblePlan, match=r"needs 131\.3 GiB of memory, 96\.0 GiB") as caught:
        choose_layout(
            LayoutSpec(tp=4),
            trn2(),
            SHAPE,
            legal_tp=(1, 2, 4, 8, 16, 32, 64),
            memory_bytes=lambda *, tp, batch_size, max_model_len: LLAMA_70B_BYTES,
        )

    assert caught.value.message.endswith("these fit: 1x64, 2x32, 4x16, 8x8")


def test_a_length_that_the_engine_refuses_is_not_proposed() -> None:
    def memory(*, tp: int, batch_size: int, max_model_len: int) -> int:
        if max_model_len < 4096:
            raise InfeasiblePlan("engine.neuron.max_context_length: 4096 is more than that")
        return batch_size * GIB

    with pytest.raises(InfeasiblePlan) as caught:
        choose_layout(
            LayoutSpec(batch_size=8),
            cpu("0", memory_gib=2),
            SHAPE,
            legal_tp=(1,),
            memory_bytes=memory,
        )

    assert caught.value.message.endswith("; batch_size 2 with max_model_len 4096 would fit")


def test_an_illegal_tp_where_any_number_of_cores_is_legal_names_the_range() -> None:
    with pytest.raises(InfeasiblePlan, match=r"17 is more than the 16 cores of AMD") as caught:
        choose_layout(
            LayoutSpec(tp=17),
            cpu("0-15"),
            SHAPE,
            legal_tp=tuple(range(1, 17)),
            memory_bytes=replica_bytes,
        )

    assert "; these are: 1 to 16; these fit: " in caught.value.message


def test_of_many_layouts_that_fit_the_nearest_are_named() -> None:
    with pytest.raises(InfeasiblePlan) as caught:
        choose_layout(
            LayoutSpec(replicas=2, tp=40),
            cpu("0-63"),
            SHAPE,
            legal_tp=tuple(range(1, 65)),
            memory_bytes=replica_bytes,
        )

    assert caught.value.message.endswith("these fit: 1x64, 2x32, 3x21, 4x16, 5x12, 6x10, 7x9, 8x8")


counts = st.one_of(st.just("auto"), st.integers(1, 6))


@given(
    replicas=counts,
    tp=counts,
    core_limit=st.integers(1, 9),
    memory_gib=st.integers(1, 12),
    taken=st.sets(st.integers(0, 8)),
)
def test_a_chosen_layout_keeps_every_promise_and_a_refusal_is_for_a_reason(
    replicas: int | str, tp: int | str, core_limit: int, memory_gib: int, taken: set[int]
) -> None:
    wanted = LayoutSpec.model_validate({"replicas": replicas, "tp": tp})
    machine = cpu("0-8", core_limit=core_limit, memory_gib=memory_gib)
    fitting = [
        (n, size)
        for size in (1, 2, 4, 8)
        for n in range(1, 10)
        if n * size <= min(9 - len(taken), core_limit - len(taken))
        and n * 2 <= memory_gib
        and replicas in (n, "auto")
        and tp in (size, "auto")
    ]

    try:
        layout = choose(wanted, machine, taken=CoreRange.of(taken))
    except InfeasiblePlan:
        assert not fitting
        return

    assert (layout.replicas, layout.tp) in fitting
    cores = list(chain.from_iterable(layout.ranges))
    assert len(set(cores)) == len(cores) == layout.replicas * layout.tp
    assert taken.isdisjoint(cores)
