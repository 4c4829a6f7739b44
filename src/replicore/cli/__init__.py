"""The ``replicore`` command: one file per group of commands; here they are put together."""

from __future__ import annotations

import gc
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from itertools import dropwhile
from types import ModuleType
from typing import Annotated

import typer

from replicore import __version__
from replicore.cli.pipes import discard
from replicore.errors import INTERRUPTED_EXIT_CODE, ReplicoreError
from replicore.wording import nearest

# In the order of the help. Only the module of the command that runs is imported: `up` and `status`
# need no numpy, which is a third of the time that importing all of them takes. A command of two
# words stands below the one of its first word, whose help names it.
COMMANDS = {
    "demo": "replicore.cli.demo:demo",
    "init": "replicore.cli.init:init_command",
    "doctor": "replicore.cli.doctor:doctor",
    "plan": "replicore.cli.plan:plan",
    "compile": "replicore.cli.compile:compile_command",
    "artefacts": "replicore.cli.artefacts:artefacts",
    "up": "replicore.cli.deploy:up",
    "status": "replicore.cli.deploy:status",
    "logs": "replicore.cli.deploy:logs",
    "restart": "replicore.cli.deploy:restart",
    "drain": "replicore.cli.deploy:drain",
    "undrain": "replicore.cli.deploy:undrain",
    "down": "replicore.cli.deploy:down",
    "gateway": "replicore.cli.gateway:gateway",
    "keys": "replicore.cli.keys:keys",
    "render": "replicore.cli.render:render",
    "bench": "replicore.cli.bench:bench",
    "bench selftest": "replicore.cli.selftest:selftest",
    "bench llmperf": "replicore.cli.llmperf:llmperf",
    "bench llm-correctness": "replicore.cli.llmperf:llm_correctness",
    "sweep": "replicore.cli.sweep:sweep",
    "tune": "replicore.cli.tune:tune",
    "compare": "replicore.cli.compare:compare",
    "sim": "replicore.cli.sim:sim",
}

# These take another program's flags and read them themselves.
_OWN_FLAGS = frozenset({"bench llmperf", "bench llm-correctness"})
_UNPARSED = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def build_app(command: str | None = None) -> typer.Typer:
    """Return the application, with one command or with all of them."""
    app = typer.Typer(
        name="replicore",
        help="Serve a large language model as N replicas on disjoint cores behind one endpoint.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(common)
    wanted = COMMANDS if command is None else [command]
    for name in wanted:
        if command is not None or " " not in name:
            _add(app, name)
    return app


def _imported(module: str) -> ModuleType:
    """Import without collecting garbage: nothing of a module is any, and looking takes a tenth."""
    gc.disable()
    try:
        return import_module(module)
    finally:
        gc.enable()


def _add(app: typer.Typer, name: str) -> None:
    module, _, function = COMMANDS[name].partition(":")
    found = getattr(_imported(module), function)
    group, _, own_name = name.rpartition(" ")
    if group:
        above = typer.Typer(rich_markup_mode=None)
        above.callback()(_nothing)
        app.add_typer(above, name=group)
        app = above
    if isinstance(found, typer.Typer):
        app.add_typer(found, name=own_name)
    else:
        settings = _UNPARSED if name in _OWN_FLAGS else None
        app.command(name=own_name, context_settings=settings)(found)


def _nothing() -> None:
    """Run nothing before a command that stands below another one."""


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"replicore {__version__}")
        raise typer.Exit


def common(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print it."),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Serve a large language model as N replicas on disjoint cores behind one endpoint."""
    if debug:
        os.environ["REPLICORE_DEBUG"] = "1"


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 done, 1 failed, 2 wrong usage or spec, 130 interrupted."""
    sys.exit(run(sys.argv[1:] if argv is None else list(argv)))


def run(argv: Sequence[str]) -> int:
    """Run one command; return its exit code. Errors are one sentence on stderr, and a hint."""
    command = _command(argv)
    try:
        app = build_app(command if command in COMMANDS else None)
        return app(list(argv), standalone_mode=False) or 0
    except ReplicoreError as error:
        return _fail(error.message, error.hint, error.exit_code)
    except typer.TyperException as error:
        return _fail_usage(error, argv)
    except typer.Abort:
        return INTERRUPTED_EXIT_CODE
    except BrokenPipeError:
        # Whoever read stdout has enough.
        discard(sys.stdout)
        return 1
    except Exception as error:  # noqa: BLE001 - the last line of defence: no traceback for users
        message = f"unexpected {type(error).__name__}: {error}"
        return _fail(message, "this is a bug; --debug shows where it happened", 1)


def _command(argv: Sequence[str]) -> str:
    """Return the first word that is no option, with the next one where both are a command.

    The global options take no values.
    """
    words = list(dropwhile(lambda word: word.startswith("-"), argv))
    both = " ".join(words[:2])
    return both if both in COMMANDS else "".join(words[:1])


def _fail(message: str, hint: str | None, code: int) -> int:
    if os.environ.get("REPLICORE_DEBUG"):
        traceback.print_exc()
    typer.echo(f"error: {message}", err=True)
    if hint:
        typer.echo(f"\nhint: {hint}", err=True)
    return code


def _fail_usage(error: typer.TyperException, argv: Sequence[str]) -> int:
    """Report a wrong flag or command in our own form, or show the help that no command asks for."""
    message = error.format_message().replace("Value error, ", "")
    if not argv:
        typer.echo(message)
        return error.exit_code
    command = _command(argv)
    hint = f"`replicore {command} --help` lists its options"
    if command not in COMMANDS:
        close = nearest(command, COMMANDS)
        hint = f"did you mean `replicore {close}`?" if close else "`replicore --help` lists all"
    if command and command not in COMMANDS:
        message = f'there is no command "{command}"'
    return _fail(message[:1].lower() + message[1:].rstrip("."), hint, error.exit_code)
