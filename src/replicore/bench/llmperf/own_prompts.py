"""The prompts of the corrected mode: text, of exactly the tokens that an instruction leaves for it.

The text is lines of words that are one token each wherever they stand, drawn anew for every line:
no order of lines comes twice, so a server can guess nothing from the lines before. It comes before
the instruction, so two prompts share no beginning that a cache could have. Which words those are,
and what a number costs, is read from one tokenised probe. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice, pairwise

import numpy as np

# Short words, which most vocabularies have as one token. What they say does not matter.
_TEXT = (
    "the of and to in is you that it he was for on are as with his they at be this have from or "
    "one had by word but not what all were we when your can said use an each she do how if will up "
    "out many then them so some her make like him into time has look two more go see no way my "
    "than been call who its now find long down day did get come made may part over new take only "
    "work know year live me back give most very just name good man say help line mean old same "
    "tell boy came want show also form set put end does well must big even such turn here why ask "
    "went men read need land us home move try kind hand far play air away page"
)
WORDS = tuple(_TEXT.split())
_LINE_WORDS = 8
# With fewer, a text is more of a list than a text.
_LEAST_WORDS = 16


def instruction(output_tokens: int) -> str:
    """Return what stands after the text: without it a model answers in a few words."""
    return (
        f"\n\nRepeat lines of the text above in any order, {output_tokens} tokens in all, "
        "and do not stop before that."
    )


@dataclass(frozen=True, slots=True)
class Costs:
    """What a tokenizer makes of our words.

    Attributes:
        words: Those that are one token each, at the beginning of a line and within it.
        numbers: Tokens of each number with a space before it.
    """

    words: tuple[str, ...]
    numbers: dict[int, int]


def probe_text(numbers: Sequence[int]) -> str:
    """Return a line for each word and for each number; :func:`read_probe` reads its tokens.

    The first line is there because a tokenizer may treat the beginning of a text in its own way.
    """
    return "\n".join([WORDS[0], *_word_lines(), *_number_lines(numbers)])


def _word_lines() -> Iterable[str]:
    return (f"{word} {word}" for word in WORDS)


def _number_lines(numbers: Sequence[int]) -> Iterable[str]:
    """Return each number between two words, which change: no word is as frequent as a break."""
    return (f"{word} {number} {word}" for word, number in zip(cycle(WORDS), numbers, strict=False))


def read_probe(ids: Sequence[int], numbers: Sequence[int]) -> Costs | None:
    """Return the costs by the tokens of the probe; None if lines cannot be told apart in them."""
    lengths = _line_lengths(ids, 1 + len(WORDS) + len(numbers))
    if lengths is None:
        return None
    of_words, of_numbers = lengths[1 : len(WORDS) + 1], lengths[len(WORDS) + 1 :]
    single = tuple(word for word, length in zip(WORDS, of_words, strict=True) if length == 2)
    if len(single) < _LEAST_WORDS:
        return None
    between = zip(numbers, of_numbers, cycle(of_words), strict=False)
    return Costs(single, {number: length - around for number, length, around in between})


def _line_lengths(ids: Sequence[int], lines: int) -> list[int] | None:
    """Return the tokens of each line, its break not counted."""
    breaks = [one for one, count in Counter(ids).items() if count == lines - 1]
    if len(breaks) != 1:
        return None
    places = [-1, *(place for place, one in enumerate(ids) if one == breaks[0]), len(ids)]
    return [end - start - 1 for start, end in pairwise(places)]


def estimated(numbers: Iterable[int]) -> Costs:
    """Return costs without a tokenizer: one token for everything."""
    return Costs(WORDS, dict.fromkeys(numbers, 1))


class OwnPrompts:
    """Makes prompts of exact length.

    Args:
        fixed: Tokens of a prompt for ``reference`` output tokens, without its text: the instruction
            and what the chat template adds.
    """

    def __init__(self, costs: Costs, *, fixed: int, reference: int) -> None:
        self._costs = costs
        self._fixed = fixed - costs.numbers[reference]
        self._words = np.asarray(costs.words, dtype=object)

    def least_tokens(self, output_tokens: int) -> int:
        """Return how long the shortest prompt is: one word of text."""
        return self._fixed + self._costs.numbers[output_tokens] + 1

    def prompt(self, input_tokens: int, output_tokens: int, rng: np.random.Generator) -> str:
        """Return a prompt of ``input_tokens``, at least :meth:`least_tokens`."""
        left = input_tokens - self.least_tokens(output_tokens) + 1
        return self._text(left, rng) + instruction(output_tokens)

    def _text(self, tokens: int, rng: np.random.Generator) -> str:
        """Return text of k = (tokens - 1) // 9 line breaks and tokens - k words.

        Its last line has the words that are left, and no break: those of the instruction follow.
        """
        breaks = (tokens - 1) // (_LINE_WORDS + 1)
        words = iter(rng.choice(self._words, tokens - breaks).tolist())
        lines = [" ".join(islice(words, _LINE_WORDS)) for _ in range(breaks)]
        return "\n".join([*lines, " ".join(words)])
