"""Turn the spec's ``[model]`` into local files, before any replica starts."""

from __future__ import annotations

from pathlib import Path

from replicore.errors import ConfigError, ModelError
from replicore.models.builtin import BUILTINS, find_builtin
from replicore.models.files import choose_files
from replicore.models.gguf_files import model_stem
from replicore.models.hub import fetch_from_hub
from replicore.models.progress import Progress, Silent
from replicore.models.read import read_shape
from replicore.models.shape import Model
from replicore.models.source import BuiltinSource, HubSource, LocalSource, Source, parse_source
from replicore.spec import ModelSpec


def resolve(spec: ModelSpec, *, cache: Path, progress: Progress | None = None) -> Model:
    """Return the model with its files on this machine; downloads what is not here yet.

    Args:
        cache: Our own folder, for built-in models; hub models go to the Hugging Face cache.

    Raises:
        ConfigError: ``spec`` names nothing that a model can be, or more than one model.
        ModelError: The files cannot be found, read or downloaded.
    """
    source = parse_source(spec.source)
    if spec.revision is not None and not isinstance(source, HubSource):
        raise ConfigError(
            f'model.revision: "{spec.revision}" has no meaning for {spec.source};'
            " only a Hugging Face repository has revisions"
        )
    path, revision = _locate(source, spec, cache, progress or Silent())
    return Model(
        source=spec.source,
        served_name=spec.served_name or served_name(source, path),
        path=path,
        shape=read_shape(path),
        revision=revision,
    )


def _locate(
    source: Source, spec: ModelSpec, cache: Path, progress: Progress
) -> tuple[Path, str | None]:
    """Return an absolute path, and the commit of a hub model."""
    match source:
        case BuiltinSource(name):
            builtin = BUILTINS[name]
            path = find_builtin(builtin, cache=cache, offline=spec.offline, progress=progress)
            return path.absolute(), None
        case LocalSource(path):
            return _locate_local(path.absolute()), None
        case HubSource():
            return fetch_from_hub(
                source, revision=spec.revision, offline=spec.offline, progress=progress
            )


def _locate_local(path: Path) -> Path:
    try:
        if not path.is_dir():
            path.stat()
            return path
        names = [entry.name for entry in path.iterdir() if entry.is_file()]
    except FileNotFoundError as error:
        raise ModelError(f"model.source: there is no {path}", hint=_not_found_hint(path)) from error
    except (OSError, ValueError) as error:
        raise ModelError(f"model.source: {path} cannot be read: {error}") from error
    entry = choose_files(names, None, where=str(path)).entry
    return path if entry is None else path / entry


def _not_found_hint(path: Path) -> str | None:
    wants_hub = path.suffix == ".gguf"
    return (
        "a file of a Hugging Face repository is written ORG/NAME:FILE.gguf" if wants_hub else None
    )


def served_name(source: Source, path: Path) -> str:
    """Return what clients call a model for which the spec has no name."""
    match source:
        case BuiltinSource(name):
            return name
        case HubSource(repo):
            return repo
        case LocalSource():
            return path.name if path.is_dir() else model_stem(path.name)
