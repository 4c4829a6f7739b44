"""``replicore init``: write a spec with every key in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from replicore.errors import ConfigError
from replicore.spec.docs import commented_spec


def init_command(
    path: Annotated[Path, typer.Argument(help="The file to write.")] = Path("replicore.toml"),
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Write a commented spec: every key with its default."""
    try:
        _check_free(path, force=force)
        _write(path, commented_spec())
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


def _write(path: Path, text: str) -> None:
    """Write the file whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
