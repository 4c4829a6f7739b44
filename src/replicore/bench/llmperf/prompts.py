"""The prompts of the old modes: lines of a text in a random order, as LLMPerf draws them. Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from replicore.bench.llmperf.entries import Count
from replicore.bench.llmperf.options import Options
from replicore.errors import ConfigError

# Every run of the last version draws with this one, so all its runs send the same prompts.
MAIN_SEED = 11111
# Redraws for a length that leaves room for text; only a mean far below it needs as many.
_MOST_DRAWS = 10_000


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is asked of a server, and the lengths that it is meant to have."""

    text: str
    input_tokens: int
    output_tokens: int


class SonnetPrompts:
    """Draws prompt after prompt.

    Args:
        lines: Of the text, each with its newline but for the last.
        count: Tokens of a text, the one at the beginning included.
        rng: ``random.Random(MAIN_SEED)`` repeats the prompts of LLMPerf's last version.
    """

    def __init__(
        self, options: Options, lines: Sequence[str], count: Count, rng: random.Random
    ) -> None:
        self._options = options
        self._lines = lines
        self._costs = {line: count(line) for line in lines}
        self._count = count
        self._rng = rng

    def draw(self) -> Prompt:
        """Return the next prompt.

        Raises:
            ConfigError: The mean leaves no room for text.
        """
        options = self._options
        output = self._positive(options.mean_output_tokens, options.stddev_output_tokens)
        base = (
            f"Randomly stream lines from the following text with {output} output tokens. "
            "Don't generate eos tokens:\n\n"
        )
        least = self._count(base)
        tokens = self._input_tokens(least)
        return Prompt(base + self._text(tokens - least), tokens, output)

    def _input_tokens(self, least: int) -> int:
        options = self._options
        for _ in range(_MOST_DRAWS):
            tokens = self._positive(options.mean_input_tokens, options.stddev_input_tokens)
            if tokens >= least:
                return tokens
        raise ConfigError(
            f"--mean-input-tokens: {options.mean_input_tokens} leaves no room for text: "
            f"the instruction before it has {least} tokens"
        )

    def _positive(self, mean: int, stddev: int) -> int:
        """Return a normal number, cut to a whole one, drawn again while below 1."""
        while True:
            number = int(self._rng.gauss(mean, stddev))
            if number > 0:
                return number

    def _text(self, left: int) -> str:
        """Return lines of about ``left`` tokens: one order, again and again.

        The last line is cut to as many *characters* as tokens were left.
        """
        order = list(self._lines)
        self._rng.shuffle(order)
        parts: list[str] = []
        while True:
            for line in order:
                cost = self._costs[line]
                if left < cost:
                    return "".join([*parts, line[:left]])
                parts.append(line)
                left -= cost
