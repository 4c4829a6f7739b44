"""The ``replicore`` command: one file per group of commands; here they are put together."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer

from replicore import __version__
from replicore.cli.pipes import discard
from replicore.errors import INTERRUPTED_EXIT_CODE, ReplicoreError
from replicore.wording import nearest

# In the order of the help. Only the module of the command that runs is imported: `up` and `status`
# need no numpy, which is a third of the time that importing all of them takes.
COMMANDS = {
    "demo": "replicore.cli.demo:demo",
    "init": "replicore.cli.init:init_command",
    "up": "replicore.cli.deploy:up",
    "status": "replicore.cli.deploy:status",
    "logs": "replicore.cli.deploy:logs",
    "restart": "replicore.cli.deploy:restart",
    "drain": "replicore.cli.deploy:drain",
    "undrain": "replicore.cli.deploy:undrain",
    "down": "replicore.cli.deploy:down",
    "gateway": "replicore.cli.gateway:gateway",
    "keys": "replicore.cli.keys:keys",
    "bench": "replicore.cli.bench:bench",
    "sim": "replicore.cli.sim:sim",
}


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
    for name, place in COMMANDS.items():
        if command in (None, name):
            module, _, function = place.partition(":")
            found = getattr(import_module(module), function)
            if isinstance(found, typer.Typer):
                app.add_typer(found, name=name)
            else:
                app.command(name=name)(found)
    return app


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
    """Return the first word that is no option: the global options take no values."""
    return next((word for word in argv if not word.startswith("-")), "")


def _fail(message: str, hint: str | None, code: int) -> int:
    if os.environ.get("REPLICORE_DEBUG"):
        traceback.print_exc()
    typer.echo(f"error: {message}", err=True)
    if hint:
        typer.echo(f"\nhint: {hint}", err=True)
    return code


def _fail_usage(error: typer.TyperException, argv: Sequence[str]) -> int:
    """Report a wrong flag or command in our own form, or show the help that no command asks for."""
    message = error.format_message()
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
