"""``replicore compile``: make what replicas start from, once, before they start."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import msgspec
import typer
import uvloop

from replicore.cli.compile_view import shown_compile
from replicore.cli.download import shown_download
from replicore.cli.findings import heed
from replicore.cli.serving import StopSignals
from replicore.cli.settings import Set, settings_given
from replicore.deploy.compile import Compile, Compiled, lay_out_to_compile
from replicore.deploy.deployment import Deployment, Prepared, prepare
from replicore.deploy.making import Watch
from replicore.deploy.provision import recipe_of
from replicore.deploy.state import state_root
from replicore.errors import INTERRUPTED_EXIT_CODE
from replicore.spec import load_spec

SpecPath = Annotated[Path | None, typer.Argument(metavar="SPEC", help="Spec file.")]
Force = Annotated[bool, typer.Option("--force", help="Make it anew, although it is there.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def compile_command(
    spec: SpecPath = None, force: Force = False, set_: Set = None, json: Json = False
) -> None:
    """Make the artefact that replicas start from, and print where it is.

    For an engine that compiles nothing a replica is started and stopped: that checks that the model
    loads, and leaves its files in the page cache.
    """
    loaded = load_spec(spec, environ=os.environ, overrides=settings_given(set_ or []))
    with shown_download() as progress:
        prepared = prepare(loaded, progress=progress, elsewhere=True)
    deployment = lay_out_to_compile(prepared, state_root())
    heed(deployment)
    done = _compiled(deployment, force=force)
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(_document(done))))
    elif done.entry is not None:
        typer.echo(done.entry.path)


def compile_if_needed(prepared: Prepared) -> None:
    """Make what the replicas of a deployment start from, if their engine compiles anything.

    Raises:
        ConfigError: The deployment cannot work; every reason is named.
        ArtefactError: It could not be made.
    """
    deployment = lay_out_to_compile(prepared, state_root())
    heed(deployment)
    if recipe_of(deployment) is not None:
        _compiled(deployment)


def _compiled(deployment: Deployment, *, force: bool = False) -> Compiled:
    """Compile, shown on stderr until it is done or stopped by a signal."""
    with shown_compile() as watch:
        try:
            done = uvloop.run(_run(deployment, watch, force=force))
        except asyncio.CancelledError:
            typer.echo("compile stopped; nothing half-written is left", err=True)
            raise typer.Exit(INTERRUPTED_EXIT_CODE) from None
    typer.echo(_said(done, deployment), err=True)
    return done


async def _run(deployment: Deployment, watch: Watch, *, force: bool) -> Compiled:
    work = Compile(deployment, state_root(), watch, force=force)
    StopSignals(work)
    return await work.run()


def _said(done: Compiled, deployment: Deployment) -> str:
    if done.entry is None:
        kind = deployment.engine.kind
        return f"{kind} compiles nothing; a replica loaded and answered in {done.seconds:.1f} s"
    if done.was_there:
        return "compiled already"
    return f"compiled in {done.seconds:.0f} s"


def _document(done: Compiled) -> dict[str, object]:
    entry = done.entry
    return {
        "artefact": str(entry.path) if entry is not None else None,
        "digest": entry.digest if entry is not None else None,
        "fields": entry.fields if entry is not None else None,
        "was_there": done.was_there,
        "seconds": round(done.seconds, 3),
    }
