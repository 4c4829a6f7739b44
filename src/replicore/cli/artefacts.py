"""``replicore artefacts``: what was compiled, whether it is whole, and what nobody uses."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from replicore.artefacts.adopt import adopt, taken_on_trust
from replicore.artefacts.gc import collect
from replicore.artefacts.store import Entry, Store
from replicore.artefacts.verify import verify
from replicore.cli.artefacts_view import artefact_lines
from replicore.cli.settings import Set, settings_given
from replicore.deploy.compile import lay_out_to_compile
from replicore.deploy.deployment import prepare
from replicore.deploy.provision import recipe_of, store_of
from replicore.deploy.room import readable
from replicore.deploy.state import state_root
from replicore.engines.neuron.fields import compiled_fields
from replicore.errors import ArtefactError
from replicore.files import cache_folder
from replicore.spec import load_spec

_DAY_S = 86_400.0

artefacts = typer.Typer(
    help="List, check and remove what `replicore compile` has made.", rich_markup_mode=None
)

Folder = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the artefacts, as `engine.neuron.artefacts` names it. "
        "Unset: the one in the cache folder."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Digests = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ARTEFACT]...", help="Its name or how it begins; all if left out."),
]
Days = Annotated[float, typer.Option(min=0, help="Keep what was used in the last so many days.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")]
Compiled = Annotated[Path, typer.Argument(metavar="FOLDER", help="What was compiled.")]
SpecPath = Annotated[Path | None, typer.Argument(metavar="SPEC", help="Spec file.")]


@artefacts.command("list")
def list_artefacts(folder: Folder = None, json: Json = False) -> None:
    """Show what was compiled, for which model and layout, and when it was used last."""
    store = _store(folder)
    entries = store.entries()
    if json:
        document = [_document(entry) for entry in entries]
        typer.echo(msgspec.json.format(msgspec.json.encode(document)))
    elif entries:
        for line in artefact_lines(entries, now=time.time()):
            typer.echo(line)
    else:
        _say_none(store)


@artefacts.command("verify")
def verify_artefacts(names: Digests = None, folder: Folder = None) -> None:
    """Read artefacts whole, and compare them with what was made."""
    store = _store(folder)
    failed, chosen = 0, _chosen(store, names)
    if not chosen:
        _say_none(store)
    for name in chosen:
        problems = verify(store, name)
        failed += bool(problems)
        typer.echo(f"{name} {'; '.join(problems) or 'is as it was made'}")
    if failed:
        raise ArtefactError(
            f"{failed} of the artefacts cannot be used",
            hint="`replicore compile SPEC` makes one anew; `replicore artefacts gc` removes others",
        )


@artefacts.command("gc")
def collect_garbage(folder: Folder = None, days: Days = 30.0, dry_run: DryRun = False) -> None:
    """Remove what is damaged, left of aborted compiles, or not used any more."""
    verdicts = collect(_store(folder), unused_s=days * _DAY_S, now=time.time(), dry_run=dry_run)
    done = "would be removed" if dry_run else "removed"
    for verdict in verdicts:
        typer.echo(f"{verdict.digest} {done if verdict.removed else 'kept'}: {verdict.reason}")
    freed = [verdict.size for verdict in verdicts if verdict.removed]
    typer.echo(f"{readable(sum(freed))} {done}" if freed else "nothing to remove", err=True)


@artefacts.command("adopt")
def adopt_folder(compiled: Compiled, spec: SpecPath = None, set_: Set = None) -> None:
    """Take over a model that was compiled by hand, if it is what the spec would compile.

    The folder stays as it is; its files are linked where that is possible, and copied elsewhere.
    """
    loaded = load_spec(spec, environ=os.environ, overrides=settings_given(set_ or []))
    deployment = lay_out_to_compile(prepare(loaded, elsewhere=True), state_root())
    recipe = recipe_of(deployment)
    if recipe is None or recipe.command is None:
        kind = deployment.engine.kind
        raise ArtefactError(f"engine.kind: {kind} loads nothing that is compiled ahead")
    told = _told(compiled)
    entry = adopt(store_of(loaded), recipe, compiled.absolute(), told)
    if trusted := taken_on_trust(recipe, told):
        typer.echo(f"taken to be as the spec has it: {', '.join(trusted)}", err=True)
    typer.echo(entry.path)


def _told(folder: Path) -> Mapping[str, Any]:
    """Return what a compiled folder says of itself."""
    path = folder / "neuron_config.json"
    try:
        found: Mapping[str, Any] = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise ArtefactError(f"{path} is no JSON object: {error}") from error
    return compiled_fields(found)


def _document(entry: Entry) -> dict[str, object]:
    return {
        "artefact": str(entry.path),
        "digest": entry.digest,
        "state": entry.state.value,
        "problem": entry.problem,
        "used_at": entry.used_at,
        "manifest": entry.manifest,
    }


def _say_none(store: Store) -> None:
    typer.echo(f"{store.root} has no artefacts", err=True)


def _store(folder: Path | None) -> Store:
    return Store(folder or cache_folder() / "artefacts")


def _chosen(store: Store, beginnings: Sequence[str] | None) -> list[str]:
    names = [entry.digest for entry in store.entries()]
    if not beginnings:
        return names
    return [_the_one(beginning, names, store) for beginning in beginnings]


def _the_one(beginning: str, names: Sequence[str], store: Store) -> str:
    found = [name for name in names if name.startswith(beginning)]
    if len(found) == 1:
        return found[0]
    what = "several artefacts begin" if found else "no artefact begins"
    raise ArtefactError(
        f'{what} with "{beginning}" in {store.root}', hint="`replicore artefacts list` shows all"
    )
