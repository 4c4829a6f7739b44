"""What is equal in the commands of all replicas, and what differs from one to the next; pure.

The commands are compared word by word, so nothing here knows what a flag means, and each command
is had back exactly from the common words and the replica's own values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from replicore.engines.command import Command
from replicore.render.words import Variable, Word

_NO_NAME = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """The commands of all replicas.

    Attributes:
        argv: Program and arguments.
        env: Variables that all replicas have, in the order in which the first one has them.
        own_env: Variables of each replica that not all of them have.
        unset: Inherited variables that are taken away.
        affinity: CPUs of each replica; None where none has any.
        values: What each variable is for each replica.
    """

    argv: tuple[Word, ...]
    env: Mapping[str, Word]
    own_env: tuple[Mapping[str, str], ...]
    unset: tuple[str, ...]
    affinity: Word | None
    values: Mapping[str, tuple[str, ...]]


def compare(commands: Sequence[Command], known: Mapping[str, Sequence[str]]) -> Commands:
    """Return the commands as one.

    Args:
        commands: Of as many words each.
        known: Values of which the commands are made, such as each replica's port, by variable.

    Raises:
        ValueError: They have different numbers of words.
    """
    table = _Table(known)
    envs = [command.env for command in commands]
    shared = [key for key in envs[0] if all(key in env for env in envs)]
    argv = _argv([command.argv for command in commands], table)
    env = {key: table.word(key, [env[key] for env in envs]) for key in shared}
    affinities = [str(command.affinity or "") for command in commands]
    return Commands(
        argv=argv,
        env=env,
        own_env=tuple({k: v for k, v in env.items() if k not in shared} for env in envs),
        unset=tuple(dict.fromkeys(name for command in commands for name in command.unset)),
        affinity=table.word("cpus", affinities) if any(affinities) else None,
        values=table.values,
    )


def _argv(argvs: Sequence[Sequence[str]], table: _Table) -> tuple[Word, ...]:
    if len({len(argv) for argv in argvs}) != 1:
        raise ValueError("replicas have different numbers of arguments")
    before = ("", *argvs[0])
    return tuple(
        table.word(_name(before[i], column[0]), column)
        for i, column in enumerate(zip(*argvs, strict=True))
    )


def _name(before: str, word: str) -> str:
    """Return what to call an argument: as it is called itself, or the flag before it."""
    flag, equals, _ = word.partition("=")
    return flag if equals else before


class _Table:
    """The variables, and the values that they have for each replica."""

    def __init__(self, known: Mapping[str, Sequence[str]]) -> None:
        self.values = {name: tuple(values) for name, values in known.items()}

    def word(self, called: str, column: Sequence[str]) -> Word:
        """Return a word that is ``column`` for each replica."""
        if len(set(column)) == 1:
            return (column[0],)
        for name, values in self.values.items():
            if (word := _made_of(column, name, values)) is not None:
                return word
        prefix = _common_prefix(called, column)
        name = self._add(called, [text.removeprefix(prefix) for text in column])
        return (prefix, Variable(name)) if prefix else (Variable(name),)

    def _add(self, called: str, values: Iterable[str]) -> str:
        name = stem = _NO_NAME.sub("_", called.lower()).strip("_0123456789") or "word"
        number = 1
        while name in self.values:
            number += 1
            name = f"{stem}_{number}"
        self.values[name] = tuple(values)
        return name


def _made_of(column: Sequence[str], name: str, values: Sequence[str]) -> Word | None:
    """Return the word that is ``column`` with the variable in one place; None where there is none.

    >>> _made_of(["port=8001", "port=8002"], "port", ["8001", "8002"])
    ('port=', Variable(name='port'))
    """
    if list(column) == list(values):
        return (Variable(name),)
    if not values[0]:
        return None
    before, found, after = column[0].partition(values[0])
    if not found or any(
        text != f"{before}{value}{after}" for text, value in zip(column, values, strict=True)
    ):
        return None
    return tuple(part for part in (before, Variable(name), after) if part)


def _common_prefix(called: str, column: Sequence[str]) -> str:
    """Return ``NAME=`` where all words begin with it."""
    prefix = f"{called}="
    return prefix if all(text.startswith(prefix) for text in column) else ""
