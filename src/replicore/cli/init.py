"""``replicore init``: write a spec with every key in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from replicore.errors import ConfigError
from replicore.files import write_atomically
from replicore.spec.docs import commented_spec


def init_command(
    path: Annotated[Path, typer.Argument(help="The file to write.")] = Path("replicore.toml"),
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Write a commented spec: every key with its default."""
    try:
        _check_free(path, force=force)
        write_atomically(path, commented_spec().encode())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(
            f"{path}: cannot be written ({reason}); give a path in a folder of yours"
        ) from error
    typer.echo(f"wrote {path}; `replicore up {path}` serves it")


def _check_free(path: Path, *, force: bool) -> None:
    if path.is_dir():
        raise ConfigError(f"{path}: this is a folder; give the path of the file to write")
    if path.exists() and not force:
        raise ConfigError(f"{path}: the file exists; give another path", hint="--force replaces it")
