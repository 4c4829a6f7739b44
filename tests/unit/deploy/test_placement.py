from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicore.cores import CoreRange
from replicore.deploy.placement import find_blocks, place
from replicore.errors import InfeasiblePlan
from replicore.hardware.machine import Machine, NumaNode


def machine(*nodes: str, aligned: bool = False, chip_cores: int | None = None) -> Machine:
    """A machine of these NUMA nodes, given by their cores."""
    near = [CoreRange.parse(cores) for cores in nodes]
    cores = CoreRange.of(chain.from_iterable(near))
    return Machine(
        kind="cpu",
        name="test",
        cores=cores,
        core_limit=len(cores),
        numa=tuple(NumaNode(index=i, cores=node) for i, node in enumerate(near)),
        memory_bytes=2**40,
        aligned=aligned,
        chip_cores=chip_cores,
    )


# Nodes as in AWS's runtime performance tips: trn2 devices (4 logical cores each) 4-11 are on node
# 0, the others on node 1; trn1 devices (2 cores) alternate in pairs; inf2 has four nodes.
TRN2_48XL = machine("16-47", "0-15,48-63", aligned=True)
TRN1_32XL = machine("0-3,8-11,16-19,24-27", "4-7,12-15,20-23,28-31", aligned=True)
INF2_48XL = machine("16-21", "12-15,22-23", "0-1,4-5,8-9", "2-3,6-7,10-11", chip_cores=2)


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    """Up to 12 cores, with gaps, dealt to up to three nodes in any pattern."""
    node_of = draw(st.dictionaries(st.integers(0, 15), st.integers(0, 2), min_size=1, max_size=12))
    nodes = [CoreRange.of(c for c in node_of if node_of[c] == n) for n in set(node_of.values())]
    aligned, chip_cores = draw(st.sampled_from([(True, None), (False, 2), (False, None)]))
    return machine(*map(str, nodes), aligned=aligned, chip_cores=chip_cores)


def subsets(whole: CoreRange) -> st.SearchStrategy[CoreRange]:
    return st.sets(st.sampled_from(whole.cores)).map(CoreRange.of)


def is_local(block: CoreRange, where: Machine) -> bool:
    return any(block & node.cores == block for node in where.numa)


@cache
def most_stepped_ranges(free: frozenset[int], tp: int, step: int) -> int:
    """The most disjoint ranges on multiples of ``step`` of any choice, by trying every choice."""
    blocks = [frozenset(range(start, start + tp)) for start in free if start % step == 0]
    rest = [free - block for block in blocks if block <= free]
    return max((1 + most_stepped_ranges(left, tp, step) for left in rest), default=0)


@given(st.data(), machines(), st.integers(1, 6))
def test_ranges_are_disjoint_of_the_size_inside_the_free_cores_and_on_multiples_of_the_step(
    data: st.DataObject, where: Machine, tp: int
) -> None:
    free = data.draw(subsets(where.cores))

    blocks = find_blocks(tp, where, within=free)

    cores = [core for block in blocks for core in block]
    assert len(cores) == len(set(cores)) == len(blocks) * tp
    assert set(cores) <= set(free)
    step = where.step(tp)
    assert step is None or all(b.is_contiguous and b.cores[0] % step == 0 for b in blocks)


@given(st.data(), machines(), st.integers(1, 6))
def test_as_many_ranges_are_found_as_any_choice_gives(
    data: st.DataObject, where: Machine, tp: int
) -> None:
    free = data.draw(subsets(where.cores))

    found = len(find_blocks(tp, where, within=free))

    step = where.step(tp)
    assert found == (
        len(free) // tp if step is None else most_stepped_ranges(frozenset(free), tp, step)
    )


@given(st.data(), machines(), st.integers(1, 6))
def test_no_range_crosses_numa_nodes_while_one_inside_a_node_is_left(
    data: st.DataObject, where: Machine, tp: int
) -> None:
    free = data.draw(subsets(where.cores))
    blocks = find_blocks(tp, where, within=free)
    count = data.draw(st.integers(0, len(blocks)))

    placed = place(count, tp, where, within=free)

    local = sum(is_local(block, where) for block in blocks)
    assert sum(is_local(block, where) for block in placed) == min(count, local)


@given(machines().filter(lambda where: where.step(1) is None), st.integers(1, 6))
def test_every_node_is_used_up_before_a_range_crosses_nodes(where: Machine, tp: int) -> None:
    blocks = find_blocks(tp, where, within=where.cores)

    local = sum(is_local(block, where) for block in blocks)
    assert local >= sum(len(node.cores) // tp for node in where.numa)


@pytest.mark.parametrize(
    ("where", "tp", "ranges"),
    [
        (TRN2_48XL, 32, ["0-31", "32-63"]),
        (TRN2_48XL, 16, ["0-15", "16-31", "32-47", "48-63"]),
        (TRN2_48XL, 64, ["0-63"]),
        (TRN1_32XL, 8, ["0-7", "8-15", "16-23", "24-31"]),
        (TRN1_32XL, 16, ["0-15", "16-31"]),
        (INF2_48XL, 8, ["0-7", "8-15", "16-23"]),
        (INF2_48XL, 24, ["0-23"]),
        (machine("0-1"), 1, ["0", "1"]),
        (machine("0-3", "4-7"), 3, ["0-2", "4-6"]),
        (machine("0-3", "4-7"), 8, ["0-7"]),
        (machine("0-2", "3-5"), 2, ["0-1", "2,5", "3-4"]),
        (machine("0-1,4-5", "2-3,6-7"), 4, ["0-1,4-5", "2-3,6-7"]),
        (machine("0-1", "2-3", "4-5", "6-7"), 4, ["0-3", "4-7"]),
        (machine("0,2,4,6"), 2, ["0,2", "4,6"]),
    ],
)
def test_a_machine_full_of_replicas(where: Machine, tp: int, ranges: list[str]) -> None:
    placed = place(len(ranges), tp, where, within=where.cores)

    assert [str(block) for block in placed] == ranges
    assert len(find_blocks(tp, where, within=where.cores)) == len(ranges)


@pytest.mark.parametrize("tp", [1, 2, 4, 8, 16, 32, 64])
def test_trn2_holds_64_divided_by_tp_replicas(tp: int) -> None:
    assert len(find_blocks(tp, TRN2_48XL, within=TRN2_48XL.cores)) == 64 // tp


@pytest.mark.parametrize(
    ("free", "tp", "ranges"),
    [
        ("1-63", 16, ["16-31", "32-47", "48-63"]),
        ("0-7,12-63", 8, ["0-7", "16-23", "24-31", "32-39", "40-47", "48-55", "56-63"]),
        ("8-39", 32, []),
        ("2-5", 4, []),
    ],
)
def test_cores_around_a_hole_keep_their_alignment_and_the_rest_stays_idle(
    free: str, tp: int, ranges: list[str]
) -> None:
    blocks = find_blocks(tp, TRN2_48XL, within=CoreRange.parse(free))

    assert sorted(block.cores[0] for block in blocks) == [int(r.split("-")[0]) for r in ranges]


@pytest.mark.parametrize(
    ("free", "tp", "ranges"),
    [
        ("2-23", 8, ["2-9", "10-17"]),
        ("3-12", 8, ["4-11"]),
        ("3-10", 8, []),
        ("0-5,8-23", 8, ["8-15", "16-23"]),
        ("1-3", 1, ["1", "2", "3"]),
        ("1-6", 2, ["2-3", "4-5"]),
        ("0-23", 12, ["0-11", "12-23"]),
    ],
)
def test_ranges_on_inf2_are_whole_chips_in_one_stretch(
    free: str, tp: int, ranges: list[str]
) -> None:
    blocks = find_blocks(tp, INF2_48XL, within=CoreRange.parse(free))

    assert [str(block) for block in sorted(blocks, key=lambda block: block.cores)] == ranges


def test_aligned_ranges_inside_a_node_are_taken_before_lower_ones_across_nodes() -> None:
    where = machine("0-1", "2-7", aligned=True)

    assert [str(block) for block in place(1, 4, where, within=where.cores)] == ["4-7"]


@pytest.mark.parametrize(
    ("where", "free", "count", "tp", "message"),
    [
        (
            machine("0-3"),
            "0-3",
            3,
            2,
            "3 replicas x 2 cores need 6 cores, 4 are usable (0-3)",
        ),
        (machine("0-3"), "2", 1, 2, "1 replica x 2 cores needs 2 cores, 1 is usable (2)"),
        (
            TRN2_48XL,
            "8-39,60-63",
            1,
            32,
            "1 replica x 32 cores needs 1 free range of 32 that starts on a multiple of 32, "
            "there are 0: 36 are usable (8-39,60-63)",
        ),
        (
            TRN2_48XL,
            "1-9",
            2,
            4,
            "2 replicas x 4 cores need 2 free ranges of 4 that start on a multiple of 4, "
            "there are 1: 9 are usable (1-9)",
        ),
        (TRN2_48XL, "0-63", 3, 32, "3 replicas x 32 cores need 96 cores, 64 are usable (0-63)"),
        (
            INF2_48XL,
            "3-10",
            1,
            8,
            "1 replica x 8 cores needs 1 free range of 8 that starts on a multiple of 2, "
            "there are 0: 8 are usable (3-10)",
        ),
        (
            replace(machine("0-1"), sharing=2),
            "0-1",
            5,
            1,
            "5 replicas x 1 core, 2 on the same cores, need 3 cores, 2 are usable (0-1)",
        ),
    ],
)
def test_what_does_not_fit_is_explained_in_numbers(
    where: Machine, free: str, count: int, tp: int, message: str
) -> None:
    with pytest.raises(InfeasiblePlan) as caught:
        place(count, tp, where, within=CoreRange.parse(free))

    assert caught.value.message == message
