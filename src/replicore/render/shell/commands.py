"""``commands.sh``: the command lines of engines and compiler, as shell functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from replicore.engines.command import Command
from replicore.render.differences import Commands, compare
from replicore.render.notes import VARIABLES, notes_on
from replicore.render.service import Service
from replicore.render.shell.paths import PARTIAL, SEARCH, WORK, paths_of
from replicore.render.shell.text import comment, exports, indented, invocation, unset
from replicore.render.words import Variable, Word, cut, shell_word

_UNSET = (
    "Inherited from torchrun, SLURM or another engine, these would hang the engine or send it "
    "elsewhere."
)


def commands_text(service: Service) -> str:
    """Return the file's text."""
    plans = service.replicas
    known = {
        "name": [plan.name for plan in plans],
        "port": [str(plan.port) for plan in plans],
        "cores": [str(plan.cores) for plan in plans],
    }
    commands = compare(service.commands(path=SEARCH), known)
    paths = paths_of(service)
    functions = [_replica(service, commands, paths), _engine(commands, paths)]
    make = service.compile_command(PARTIAL, WORK)
    if make is not None:
        functions.append(_compiler(make, {**paths, "PARTIAL": str(PARTIAL), "WORK": str(WORK)}))
    head = [
        "# shellcheck shell=bash",
        *comment(
            "The command lines of engines and compiler, exactly as `replicore up` and `replicore "
            "compile` run them."
        ),
    ]
    return "\n".join(["\n".join(lines) + "\n" for lines in (head, *functions)])


def _replica(service: Service, commands: Commands, paths: Mapping[str, str]) -> list[str]:
    """The table of what differs; ``port`` is always in it, for the functions that ask."""
    used = _variables([*commands.argv, *commands.env.values(), commands.affinity or ()])
    shown = [name for name in commands.values if name in used - {"name"} or name == "port"]
    lines = ['case "$1" in', *indented(_rows(service, commands, shown, paths))]
    lines += ['  *) die "there is no replica \\"$1\\"; these are: ${REPLICAS[*]}" ;;', "esac"]
    if "name" in used:
        lines.insert(0, "name=$1")
    return [
        "# replica NAME: sets what differs from one replica to the next.",
        "# shellcheck disable=SC2034 # functions.sh reads the port",
        *_function("replica", lines),
    ]


def _rows(
    service: Service, commands: Commands, shown: Iterable[str], paths: Mapping[str, str]
) -> list[str]:
    rows = []
    for i, plan in enumerate(service.replicas):
        values = {name: cut((commands.values[name][i],), paths) for name in shown}
        words = [f"{name}={shell_word(value)}" for name, value in values.items()]
        own = {name: cut((value,), paths) for name, value in commands.own_env[i].items()}
        rows.append("; ".join([f"{plan.name}) {' '.join(words)}", *exports(own)]) + " ;;")
    return rows


def _engine(commands: Commands, paths: Mapping[str, str]) -> list[str]:
    body = [
        *_environment(commands.unset, commands.env, paths),
        *_exec([cut(word, paths) for word in commands.argv], commands.affinity),
    ]
    return [
        "# become_engine: turns this process into the replica that `replica` has chosen.",
        *_function("become_engine", body),
    ]


def _compiler(make: Command, paths: Mapping[str, str]) -> list[str]:
    env: dict[str, Word] = {name: (value,) for name, value in make.env.items()}
    affinity = None if make.affinity is None else (str(make.affinity),)
    argv = [cut((word,), paths) for word in make.argv]
    return [
        "# become_compiler: turns this process into the compiler, which writes to PARTIAL.",
        *_function(
            "become_compiler", [*_environment(make.unset, env, paths), *_exec(argv, affinity)]
        ),
    ]


def _environment(
    names: Iterable[str], env: Mapping[str, Word], paths: Mapping[str, str]
) -> list[str]:
    lines = unset(names)
    if lines:
        lines = [*comment(_UNSET), *lines]
    for name, value in env.items():
        if name in VARIABLES:
            lines += comment(VARIABLES[name])
        lines += exports({name: cut(value, paths)})
    return lines


def _exec(argv: Sequence[Word], affinity: Word | None) -> list[str]:
    plain = ["".join(str(part) for part in word) for word in argv]
    notes = [line for note in notes_on(plain) for line in comment(note)]
    pinned = f"taskset --cpu-list {shell_word(affinity)} " if affinity else ""
    return [*notes, *invocation(argv, prefix=f"exec {pinned}")]


def _function(name: str, body: Iterable[str]) -> list[str]:
    return [f"{name}() {{", *indented(body), "}"]


def _variables(words: Iterable[Word]) -> set[str]:
    return {part.name for word in words for part in word if isinstance(part, Variable)}
