"""What is asked of the server, as data: seeded lengths, sessions, shared prefixes, files. Pure.

Request ``i`` is a function of ``(seed, i)`` alone. It does not depend on how many requests are
sent, how many warm up, or which replica gets them, so two layouts measured with one seed see the
same requests. Warm-up requests come from a stream of their own and never repeat a measured prompt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import NormalDist
from typing import Any

from replicore.bench.load.lengths import Lengths as Lengths
from replicore.bench.load.seeds import Stream, uniforms
from replicore.errors import ConfigError


class Api(StrEnum):
    """The route that is measured."""

    COMPLETIONS = "completions"
    CHAT = "chat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """How a session goes on after its first request.

    Attributes:
        count: Requests of a session; each but the first carries the ones before it and their
            answers.
        pause_s: Mean time from an answer to the next request of its session, in seconds.
        pause_stddev_s: Its standard deviation; a pause is normal, and redrawn while below 0.

    Raises:
        ConfigError: A pause below 0.
    """

    count: Lengths = field(default=Lengths(1))
    pause_s: float = 0.0
    pause_stddev_s: float = 0.0

    def __post_init__(self) -> None:
        if not (self.pause_s >= 0 and self.pause_stddev_s >= 0):
            raise ConfigError(f"pause {self.pause_s:g} ± {self.pause_stddev_s:g} s is negative")

    @property
    def single(self) -> bool:
        """Whether every session is one request."""
        return self.count.fixed and self.count.mean == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefixes:
    """Beginnings that sessions share, such as system prompts.

    Attributes:
        count: Different ones; each session draws one. 0 for none.
        tokens: Of each, in addition to the input tokens of a request.

    Raises:
        ConfigError: A number below 0, or prefixes without tokens.
    """

    count: int = 0
    tokens: int = 0

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ConfigError(f"{self.count} shared prefixes are fewer than 0")
        if self.count and self.tokens < 1:
            raise ConfigError(f"shared prefixes of {self.tokens} tokens are shorter than 1")


class DataFormat(StrEnum):
    """What a file of requests holds."""

    CONVERSATIONS = "conversations"  # ShareGPT: a JSON array
    PROMPTS = "prompts"  # JSON lines with `prompt` or `messages`
    TRACE = "trace"  # times and lengths, without text


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """A file that requests come from; made by ``data.describe``.

    Attributes:
        sha256: Of its bytes, so that a result names what was sent.
        rows: Sessions that it has.
    """

    path: str
    format: DataFormat
    sha256: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The requests of one run.

    Attributes:
        input_tokens: Of each prompt; in later turns of what the turn adds. Unused with ``data``.
        output_tokens: Of each answer; with ``data`` where the file does not tell.
        ignore_eos: Ask the engine to go on after an end-of-sequence token, so that the output is as
            long as was asked.
        data: Take requests from a file.
        tokenizer: Path of a ``tokenizer.json``, its folder, or a GGUF file; None asks the server.
        extra: Fields of every request body; they win over ours.
    """

    input_tokens: Lengths = field(default=Lengths(128))
    output_tokens: Lengths = field(default=Lengths(64))
    seed: int = 0
    api: Api = Api.COMPLETIONS
    ignore_eos: bool = True
    turns: Turns = Turns()
    prefixes: Prefixes = Prefixes()
    data: DataFile | None = None
    tokenizer: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def request(self, index: int, *, warmup: bool = False) -> Draft:
        """Return request ``index`` (0-based), of the measured or of the warm-up stream."""
        key = (self.seed, int(warmup), index)
        return Draft(
            index=index,
            input_tokens=_drawn(self.input_tokens, *key, Stream.INPUT),
            output_tokens=_drawn(self.output_tokens, *key, Stream.OUTPUT),
            key=(*key, Stream.PROMPT),
        )

    def turns_of(self, session: int, *, warmup: bool = False) -> int:
        """Return how many requests a session has."""
        return _drawn(self.turns.count, self.seed, int(warmup), session, Stream.TURNS)

    def pause_before(self, index: int) -> float:
        """Return the seconds between the answer before request ``index`` and that request."""
        turns = self.turns
        if not turns.pause_stddev_s:
            return turns.pause_s
        normal = NormalDist(turns.pause_s, turns.pause_stddev_s)
        chance = uniforms(self.seed, 0, index, Stream.PAUSE)
        return next(pause for u in chance if (pause := normal.inv_cdf(u)) >= 0)


@dataclass(frozen=True, slots=True)
class Draft:
    """One request before it has a prompt.

    Attributes:
        key: Determines the prompt's content.
    """

    index: int
    input_tokens: int
    output_tokens: int
    key: tuple[int, ...]


def _drawn(lengths: Lengths, *key: int) -> int:
    return lengths.from_uniforms(uniforms(*key))
