"""The prompts of the old modes.

The golden digests are of what LLMPerf's own function returned for these lines, this stand-in for
its tokenizer and ``random.seed(11111)``.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from replicore.bench.llmperf.prompts import MAIN_SEED, Prompt, SonnetPrompts
from replicore.bench.llmperf.sonnet import read_sonnet
from replicore.errors import ConfigError
from tests.unit.bench.llmperf.made import options

CHECKOUT = os.environ.get("LLMPERF")

# As in LLMPerf's text, the last line has no break.
LINES = [f"{'lorem ipsum dolor sit amet'[: 5 + index % 20]} {index},\n" for index in range(40)]
LINES[-1] = LINES[-1].rstrip("\n")


def count(text: str) -> int:
    """Count words, marks and breaks, and one at the beginning as the Llama tokenizer does."""
    return 1 + len(re.findall(r"\w+|[^\w\s]|\n", text))


def draw(requests: int, given: Sequence[int], lines: Sequence[str] = LINES) -> list[Prompt]:
    names = ("mean_input_tokens", "stddev_input_tokens", "mean_output_tokens")
    fields: dict[str, Any] = dict(zip((*names, "stddev_output_tokens"), given, strict=True))
    prompts = SonnetPrompts(options(**fields), lines, count, random.Random(MAIN_SEED))
    return [prompts.draw() for _ in range(requests)]


def digest(found: Sequence[Prompt]) -> str:
    text = "".join(f"{one.text}|{one.input_tokens}|{one.output_tokens}\n" for one in found)
    return sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("requests", "given", "golden"),
    [
        (20, (550, 150, 150, 80), "15f37456"),
        (10, (7936, 30, 256, 30), "30da2293"),
        (10, (60, 40, 3, 3), "ea81a089"),  # many lengths are drawn again
    ],
)
def test_prompts_are_those_of_llmperf(requests: int, given: Sequence[int], golden: str) -> None:
    assert digest(draw(requests, given)).startswith(golden)


@pytest.mark.skipif(CHECKOUT is None, reason="LLMPERF names no checkout of LLMPerf")
@pytest.mark.parametrize(
    ("requests", "given", "golden"),
    [(20, (550, 150, 150, 80), "c91cea54"), (10, (7936, 30, 256, 30), "f2b9bb39")],
)
def test_prompts_of_its_own_text_are_those_of_llmperf(
    requests: int, given: Sequence[int], golden: str
) -> None:
    lines = read_sonnet(None, Path(CHECKOUT or ""))

    assert digest(draw(requests, given, lines)).startswith(golden)


def test_reported_length_counts_each_lines_beginning_so_the_prompt_is_shorter() -> None:
    [prompt] = draw(1, (2048, 0, 150, 0))

    assert prompt.input_tokens == 2048
    assert count(prompt.text) < 2048 - 50


def test_mean_that_leaves_no_room_for_text_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--mean-input-tokens: 5 leaves no room for text"):
        draw(1, (5, 0, 150, 0))
