from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicore.cores import MAX_CORE, NO_CORES, CoreRange
from replicore.errors import ConfigError

core_sets = st.frozensets(st.integers(0, 300))
ranges = core_sets.map(CoreRange.of)


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("0", (0,)),
        (" 3 ", (3,)),
        ("0-3", (0, 1, 2, 3)),
        ("5-5", (5,)),
        ("0,1,4-7", (0, 1, 4, 5, 6, 7)),
        ("4-5, 0", (0, 4, 5)),
        ("007", (7,)),
        (f"{MAX_CORE}", (MAX_CORE,)),
        ("0-47,96-143\n", (*range(48), *range(96, 144))),
    ],
)
def test_parse_reads_numbers_and_inclusive_ranges(text: str, cores: tuple[int, ...]) -> None:
    assert CoreRange.parse(text).cores == cores


@pytest.mark.parametrize(
    ("text", "part", "way_out"),
    [
        ("", '""', '"0,2,4-7"'),
        ("  ", '"  "', '"0,2,4-7"'),
        ("0,", '""', '"0,2,4-7"'),
        ("0,,2", '""', '"0,2,4-7"'),
        ("-1", '"-1"', "from 0"),
        ("0--1", '"0--1"', "from 0"),
        ("1-2-3", '"1-2-3"', '"0,2,4-7"'),
        ("0 - 3", '"0 - 3"', '"0,2,4-7"'),
        ("1.5", '"1.5"', '"0,2,4-7"'),
        ("all", '"all"', '"0,2,4-7"'),
        ("٣", '"٣"', '"0,2,4-7"'),
        ("0,7-4", '"7-4"', 'write "4-7"'),
        ("0-3,2", "names 2", 'write "0-3"'),
        ("0,0,5", "names 0", 'write "0,5"'),
        ("0-5,3-8", "names 3-5", 'write "0-8"'),
        ("0-65536", '"0-65536"', "to 65535"),
        ("0-9999999999999", '"0-9999999999999"', "to 65535"),
        ("9" * 5000, "999...", "to 65535"),
    ],
)
def test_parse_of_a_bad_text_names_the_bad_part_and_what_would_work(
    text: str, part: str, way_out: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        CoreRange.parse(text)

    assert part in caught.value.message
    assert way_out in caught.value.message
    assert len(caught.value.message) < 300


@given(st.text(alphabet="0123456789,- x", max_size=12))
def test_parse_of_any_text_gives_cores_or_a_config_error(text: str) -> None:
    try:
        parsed = CoreRange.parse(text)
    except ConfigError:
        return

    assert CoreRange.parse(str(parsed)) == parsed


@given(core_sets.filter(bool))
def test_text_of_a_range_parses_to_the_same_range(cores: frozenset[int]) -> None:
    assert set(CoreRange.parse(str(CoreRange.of(cores)))) == cores


def test_text_joins_neighbours_and_keeps_gaps() -> None:
    assert str(CoreRange.of([9, 3, 2, 1, 0, 2])) == "0-3,9"
    assert str(CoreRange.of([0, 1])) == "0-1"
    assert str(NO_CORES) == ""


@pytest.mark.parametrize("cores", [(1, 0), (2, 2), (-1, 0)])
def test_cores_out_of_order_repeated_or_negative_are_refused(cores: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="core"):
        CoreRange(cores)


@given(ranges, st.integers(1, 20))
def test_split_gives_disjoint_pieces_of_the_size_that_cover_the_range(
    whole: CoreRange, size: int
) -> None:
    whole = CoreRange(whole.cores[: len(whole) - len(whole) % size])

    pieces = whole.split(size)

    assert [len(piece) for piece in pieces] == [size] * (len(whole) // size)
    assert [core for piece in pieces for core in piece] == list(whole)


@pytest.mark.parametrize("size", [0, -2, 4, 7])
def test_split_into_a_size_that_does_not_divide_names_those_that_do(size: int) -> None:
    with pytest.raises(ConfigError, match="these sizes do: 1, 2, 3, 6"):
        CoreRange.parse("0-5").split(size)


@given(core_sets, core_sets)
def test_operators_agree_with_those_of_sets(left: frozenset[int], right: frozenset[int]) -> None:
    a, b = CoreRange.of(left), CoreRange.of(right)

    assert set(a | b) == left | right
    assert set(a & b) == left & right
    assert set(a - b) == left - right
    assert a.overlaps(b) == bool(left & right)
    assert (a == b) == (left == right)


@given(core_sets, st.integers(0, 300))
def test_membership_length_and_truth_are_those_of_the_set(cores: frozenset[int], core: int) -> None:
    found = CoreRange.of(cores)

    assert (core in found) == (core in cores)
    assert len(found) == len(cores)
    assert bool(found) == bool(cores)


@pytest.mark.parametrize(
    ("text", "size", "contiguous", "aligned"),
    [
        ("0-3", 4, True, True),
        ("4-7", 4, True, True),
        ("2-5", 4, True, False),
        ("2-5", 2, True, True),
        ("0-1,4-5", 4, False, False),
        ("3", 1, True, True),
    ],
)
def test_a_range_is_aligned_without_gaps_and_from_a_multiple(
    text: str, size: int, contiguous: bool, aligned: bool
) -> None:
    cores = CoreRange.parse(text)

    assert cores.is_contiguous == contiguous
    assert cores.is_aligned(size) == aligned


def test_ranges_of_the_same_cores_are_one_key() -> None:
    assert len({CoreRange.parse("0,1"), CoreRange.parse("0-1"), CoreRange.of([1, 0])}) == 1
