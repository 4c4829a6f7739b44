"""``replicore keys``: the API keys that the gateway asks for."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from replicore.gateway.access.key_file import (
    LARGEST_LIMIT,
    Caller,
    add_caller,
    digest_of,
    new_key,
    priority_name,
    read_callers,
    remove_caller,
)
from replicore.gateway.admission import PRIORITIES

keys = typer.Typer(
    help="Add, list and remove the API keys of the gateway.",
    rich_markup_mode=None,
)

File = Annotated[Path, typer.Argument(help="The key file, `gateway.api_keys_file` of the spec.")]
Name = Annotated[str, typer.Argument(help="Whose key it is; the access log tells this name.")]


class Priority(StrEnum):
    """The classes that wait for a free slot, the first served first."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


@keys.command("add")
def add(
    file: File,
    name: Name,
    priority: Annotated[
        Priority, typer.Option(help="Class of its requests; a request may ask for a lower one.")
    ] = Priority.NORMAL,
    max_in_flight: Annotated[
        int | None,
        typer.Option(
            min=1, max=LARGEST_LIMIT, help="Requests at the same time. Unset: any number."
        ),
    ] = None,
    tokens_per_minute: Annotated[
        int | None,
        typer.Option(min=1, max=LARGEST_LIMIT, help="Prompt and output tokens. Unset: any number."),
    ] = None,
) -> None:
    """Make a key and print it; only its hash is kept."""
    key = new_key()
    caller = Caller(
        name=name,
        digest=digest_of(key.encode()),
        priority=PRIORITIES[priority],
        max_in_flight=max_in_flight,
        tokens_per_minute=tokens_per_minute,
    )
    add_caller(file, caller)
    typer.echo(key)
    typer.echo(
        f"this is the key of {name}; keep it, {file} has only its hash and it is not shown again",
        err=True,
    )


@keys.command("list")
def list_keys(file: File) -> None:
    """Print the names of the keys and what they may do."""
    for caller in read_callers(file):
        typer.echo(_described(caller))


@keys.command("remove")
def remove(file: File, name: Name) -> None:
    """Make a key invalid; a running gateway sees it within a second."""
    remove_caller(file, name)
    typer.echo(f"removed {name}; its key is not valid any more", err=True)


def _described(caller: Caller) -> str:
    words = [caller.name, f"priority={priority_name(caller.priority)}"]
    if caller.max_in_flight is not None:
        words.append(f"max_in_flight={caller.max_in_flight}")
    if caller.tokens_per_minute is not None:
        words.append(f"tokens_per_minute={caller.tokens_per_minute}")
    return " ".join(words)
