"""Look for flags among the arguments of a program. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile


def flags_of(args: Sequence[str]) -> tuple[str, ...]:
    """Return the names of all flags, with ``-`` between words and without values."""
    return tuple(_name(arg) for arg in args if arg.startswith("--"))


def flag_values(args: Sequence[str], flag: str) -> tuple[str, ...]:
    """Return the values of a flag, wherever it is given: ``--flag a b`` or ``--flag=a``."""
    return tuple(_values(args, flag))


def _values(args: Sequence[str], flag: str) -> Iterator[str]:
    for place, arg in enumerate(args):
        if not arg.startswith("--") or _name(arg) != flag:
            continue
        _, equals, value = arg.partition("=")
        if equals:
            yield value
        else:
            yield from takewhile(lambda word: not word.startswith("--"), args[place + 1 :])


def _name(arg: str) -> str:
    return arg.partition("=")[0].replace("_", "-")
