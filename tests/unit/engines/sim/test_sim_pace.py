from __future__ import annotations

import math

import pytest

from replicore.engines.sim.options import parse_options
from replicore.engines.sim.pace import cache_blocks, create_pace, time_of_steps
from replicore.engines.sim.sequence import Sequence

TUTORIAL = "--profile trn2 --tp 64 --shape llama-70b --slots 4 --max-model-len 8192"


def times(line: str, *, prompt: int = 1000, output: int = 3) -> list[float]:
    """Return when the tokens of one sequence come."""
    pace = create_pace(parse_options(line.split()))
    pace.add(Sequence(range(prompt), max_tokens=output, ignore_eos=True), 0.0)
    return [emission.at for emission in pace.advance(math.inf)]


@pytest.mark.parametrize("batching", ["independent", "continuous", "static"])
def test_sequence_alone_takes_as_long_with_any_batching(batching: str) -> None:
    line = "--prefill-tokens-per-s 1000 --decode-tokens-per-s 10 --batching"

    assert times(f"{line} {batching}") == pytest.approx([1.0, 1.1, 1.2])


def test_profile_gives_its_steps() -> None:
    first, second, third = times(TUTORIAL)

    assert second - first == pytest.approx(0.0207, abs=1e-4)
    assert third - second == pytest.approx(second - first)


@pytest.mark.parametrize("line", ["", TUTORIAL, "--profile h100 --tp 4"])
def test_speed_divides_every_time(line: str) -> None:
    life = times(line)

    assert times(f"{line} --speed 20") == pytest.approx([at / 20 for at in life])


def test_speed_does_not_change_the_steps_in_life() -> None:
    options = parse_options([*TUTORIAL.split(), "--speed=20"])

    assert time_of_steps(options) == time_of_steps(parse_options(TUTORIAL.split()))


@pytest.mark.parametrize(
    ("line", "blocks"),
    [
        ("--slots 2 --max-model-len 100", 14),  # 7 blocks of 16 each
        ("--batching continuous --kv-tokens 640", 40),
        ("--profile h100", 27_029),  # 432,475 tokens
        ("--profile h100 --shape llama-70b", 1),  # no room at all, but one sequence must run
        (TUTORIAL, 2048),
        ("--profile cpu --slots 2 --max-model-len 100", 14),
    ],
)
def test_kv_cache_is_as_large_as_given_or_as_memory_allows(line: str, blocks: int) -> None:
    assert cache_blocks(parse_options(line.split())) == blocks


@pytest.mark.parametrize(
    ("line", "cached"),
    [("", 992), ("--no-prefix-cache", 0), ("--batching continuous", 992), (TUTORIAL, 0)],
)
def test_prefix_cache_is_there_but_for_static_batches(line: str, cached: int) -> None:
    pace = create_pace(parse_options(line.split()))
    again = Sequence(range(1000), max_tokens=1)
    pace.add(Sequence(range(1000), max_tokens=1), 0.0)
    pace.advance(100.0)
    pace.add(again, 100.0)
    pace.advance(200.0)

    assert again.cached_tokens == cached
