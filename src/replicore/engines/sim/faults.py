"""What can be made to go wrong: ``--fault KIND`` or ``--fault KIND=VALUE``. Pure: parse and decide.

:data:`KINDS` is the one list of faults; help texts and error messages come from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from math import floor
from typing import Any, NamedTuple

from replicore.errors import ConfigError
from replicore.wording import nearest, quoted


class Fate(Enum):
    """What becomes of a generation request."""

    ANSWERED = auto()
    FAILED = auto()  # status 500
    REJECTED = auto()  # status 503
    IGNORED = auto()  # no answer ever
    FATAL = auto()  # the process exits


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """The faults of one simulator; None and False: this one does not happen.

    Those ``after_requests`` and ``crash_after_tokens`` count over the whole process, a readiness
    check's request included; the other ones count within each response.
    """

    slow_start: float = 0.0
    load_failure: bool = False
    out_of_memory: bool = False
    ignore_sigterm: bool = False
    crash_after_requests: int | None = None
    crash_after_tokens: int | None = None
    wedge: int | None = None
    reject: int | None = None
    error_rate: float = 0.0
    stall_after_tokens: int | None = None
    reset_after_tokens: int | None = None
    malformed_sse_after: int | None = None
    tokens_per_chunk: int = 1

    def fate(self, number: int) -> Fate:
        """Return what becomes of the ``number``-th generation request of this process, from 1."""
        if _is_after(number, self.crash_after_requests):
            return Fate.FATAL
        if _is_after(number, self.reject):
            return Fate.REJECTED
        if _is_after(number, self.wedge):
            return Fate.IGNORED
        if floor(number * self.error_rate) > floor((number - 1) * self.error_rate):
            return Fate.FAILED
        return Fate.ANSWERED


def _is_after(number: int, limit: int | None) -> bool:
    return limit is not None and number > limit


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError("a whole number from 0")
    return int(text)


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise ValueError("a whole number from 1")
    return int(text)


def _seconds(text: str) -> float:
    return _number(text, highest=86_400.0, rule="seconds, from 0 to 86400")


def _share(text: str) -> float:
    return _number(text, highest=1.0, rule="a number from 0 to 1")


def _number(text: str, *, highest: float, rule: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= highest:
        raise ValueError(rule)
    return value


class Kind(NamedTuple):
    """One fault.

    Attributes:
        value: What its value is called in a help text; None where it takes none.
        parse: Reads the value; raises ValueError with the rule.
        without: The value where none is given; None where one must be.
    """

    value: str | None
    parse: Callable[[str], Any]
    without: Any
    meaning: str


KINDS = {
    "slow-start": Kind("SECONDS", _seconds, None, "listens only after so long"),
    "load-failure": Kind(None, bool, True, "exits with code 1 instead of listening"),
    "out-of-memory": Kind(None, bool, True, "the same, with the words of the device's runtime"),
    "ignore-sigterm": Kind(None, bool, True, "goes on after SIGTERM"),
    "crash-after-requests": Kind("N", _count, None, "answers N requests; the next is a crash"),
    "crash-after-tokens": Kind("N", _positive, None, "crashes once it has sent N tokens in all"),
    "wedge": Kind("N", _count, 0, "after N requests (0), takes more but never answers"),
    "reject": Kind("N", _count, 0, "after N requests (0), answers 503"),
    "error-rate": Kind("SHARE", _share, None, "answers so many requests with 500, evenly spread"),
    "stall-after-tokens": Kind("N", _positive, None, "no response goes on after N tokens"),
    "reset-after-tokens": Kind("N", _positive, None, "cuts each stream off after N tokens"),
    "malformed-sse-after": Kind("N", _count, None, "a broken event after N of each stream"),
    "tokens-per-chunk": Kind("N", _positive, None, "N tokens in each event of a stream"),
}


def parse_faults(texts: Iterable[str]) -> Faults:
    """Return the faults that ``KIND`` and ``KIND=VALUE`` texts name; the last of a kind holds.

    Raises:
        ConfigError: An unknown kind, with the nearest one, or a value out of its range.
    """
    return Faults(**dict(map(_parse, texts)))


def _parse(text: str) -> tuple[str, Any]:
    name, has_value, value = text.partition("=")
    kind = KINDS.get(name)
    if kind is None:
        raise _unknown(name)
    return name.replace("-", "_"), _value(name, kind, value if has_value else None)


def _value(name: str, kind: Kind, text: str | None) -> Any:
    if text is None:
        if kind.without is None:
            raise ConfigError(f"fault {name}: a value is missing; write {name}={kind.value}")
        return kind.without
    if kind.value is None:
        raise ConfigError(f"fault {name}: value {quoted(text)} is not taken; write {name} alone")
    try:
        return kind.parse(text)
    except ValueError as error:
        raise ConfigError(f"fault {name}: value {quoted(text)} is not {error}") from None


def _unknown(name: str) -> ConfigError:
    near = nearest(name, KINDS)
    suggestion = f"; did you mean {quoted(near)}?" if near else ""
    return ConfigError(f"fault {quoted(name)} is unknown (valid: {', '.join(KINDS)}){suggestion}")
