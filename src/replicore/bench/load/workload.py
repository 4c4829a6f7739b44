"""What is asked of the server: seeded lengths and prompts. Pure.

Request ``i`` is a function of ``(seed, i)`` alone. It does not depend on how many requests are
sent, how many warm up, or which replica gets them, so two layouts measured with one seed see the
same requests. Warm-up requests come from a stream of their own and never repeat a measured prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from replicore.errors import ConfigError

# Independent random streams of one request; a new one must not shift the others.
_INPUT, _OUTPUT, _PROMPT, _TEXT = range(4)

# Common words, one token each in most vocabularies. What they say does not matter.
_VOCABULARY = (
    "the of and to in is you that it he was for on are as with his they at be this have from or "
    "one had by word but not what all were we when your can said there use an each which she do "
    "how their if will up other about out many then them these so some her would make like him "
    "into time has look two more write go see number no way could people my than first water been "
    "call who oil its now find long down day did get come made may part over new sound take only "
    "little work know place year live me back give most very after thing our just name good "
    "sentence man think say great where help through much before line right too mean old any same "
    "tell boy follow came want show also around form three small set put end does another well "
    "large must big even such because turn here why ask went men read need land different home us "
    "move try kind hand picture again change off play spell air away animal house point page "
    "letter mother answer found study still learn should world high every near add food between "
    "own below country "
)
_WORDS = tuple(_VOCABULARY.split())

# Leading ids of a prompt that are drawn one by one: no two prompts then share a cacheable prefix,
# however small the pool is.
_UNIQUE_IDS = 8


class Api(StrEnum):
    """The route that is measured."""

    COMPLETIONS = "completions"
    CHAT = "chat"


@dataclass(frozen=True, slots=True)
class Lengths:
    """A number of tokens per request: normal, rounded, redrawn while below 1.

    Raises:
        ConfigError: ``mean`` below 1 or ``stddev`` below 0.
    """

    mean: float
    stddev: float = 0.0

    def __post_init__(self) -> None:
        if not self.mean >= 1:
            raise ConfigError(f"mean length {self.mean:g} is below 1 token")
        if not self.stddev >= 0:
            raise ConfigError(f"length deviation {self.stddev:g} is negative")

    def draw(self, rng: np.random.Generator) -> int:
        """Return one length, at least 1; with ``mean`` >= 1 two draws are enough on average."""
        while True:
            length = round(rng.normal(self.mean, self.stddev))
            if length >= 1:
                return length


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The requests of one run.

    Attributes:
        ignore_eos: Ask the engine to go on after an end-of-sequence token, so that the output is as
            long as was asked.
    """

    input_tokens: Lengths = Lengths(128)
    output_tokens: Lengths = Lengths(64)
    seed: int = 0
    api: Api = Api.COMPLETIONS
    ignore_eos: bool = True

    def request(self, index: int, *, warmup: bool = False) -> Draft:
        """Return request ``index`` (0-based), of the measured or of the warm-up stream."""
        key = (self.seed, int(warmup), index)
        return Draft(
            index=index,
            input_tokens=self.input_tokens.draw(_rng(*key, _INPUT)),
            output_tokens=self.output_tokens.draw(_rng(*key, _OUTPUT)),
            prompt_key=(*key, _PROMPT),
        )


@dataclass(frozen=True, slots=True)
class Draft:
    """One request before it has a prompt."""

    index: int
    input_tokens: int
    output_tokens: int
    prompt_key: tuple[int, ...]

    def prompt(self, source: PromptSource) -> list[int] | str:
        return source.prompt(self.input_tokens, _rng(*self.prompt_key))


class PromptSource(Protocol):
    """Where prompts come from; fixed for a run."""

    exact: bool

    def prompt(self, tokens: int, rng: np.random.Generator) -> list[int] | str: ...


class IdPrompts:
    """Prompts of exactly the asked number of token ids, cut from one tokenised text.

    Args:
        ids: The text's tokens, without any that mark its beginning or end.
    """

    exact = True

    def __init__(self, ids: Sequence[int]) -> None:
        self._ids = np.asarray(ids, dtype=np.int64)

    def prompt(self, tokens: int, rng: np.random.Generator) -> list[int]:
        """Return ``_UNIQUE_IDS`` ids drawn singly, then the text from a random place."""
        unique = rng.choice(self._ids, min(tokens, _UNIQUE_IDS))
        start = rng.integers(len(self._ids))
        places = np.arange(start, start + tokens - len(unique))
        text = self._ids.take(places, mode="wrap")
        return [*unique.tolist(), *text.tolist()]


@dataclass(frozen=True, slots=True)
class TextPrompts:
    """Prompts of about the asked number of tokens: words, by a measured rate.

    Attributes:
        tokens_per_word: Slope over two probes.
        overhead: Tokens that the server adds to every prompt, such as a chat template's.
    """

    tokens_per_word: float
    overhead: float
    exact = False

    def prompt(self, tokens: int, rng: np.random.Generator) -> str:
        words = round((tokens - self.overhead) / self.tokens_per_word)
        return random_words(max(1, words), rng)


def random_words(count: int, rng: np.random.Generator) -> str:
    """Return ``count`` words of pseudo-text."""
    return " ".join(rng.choice(_WORDS, count).tolist())


def pool_text(seed: int, words: int) -> str:
    """Return the text to tokenise once per run; at least as many tokens as words."""
    return random_words(words, _rng(seed, _TEXT))


def _rng(*key: int) -> np.random.Generator:
    return np.random.default_rng(key)
