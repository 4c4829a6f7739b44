"""A model's shape without its weights: for plans, checks and rendered files, on any machine.

Sizes come from the first that has them: the model's files on this machine, the catalogue of widely
served models, the hub's ``config.json``. The catalogue goes before the hub so that a plan is the
same with and without network and token; where a revision is asked for, only the hub knows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from replicore.errors import ModelError
from replicore.files import cache_folder
from replicore.models.builtin import BUILTINS
from replicore.models.config_json import CONFIG, INDEX, read_config_shape
from replicore.models.hub_sizes import fetch_sizes, is_offline
from replicore.models.known import find_known, nearest_known
from replicore.models.resolve import resolve, served_name
from replicore.models.shape import Model, ModelShape
from replicore.models.source import BuiltinSource, HubSource, LocalSource, Source, parse_source
from replicore.models.variants import find_variant
from replicore.spec import ModelSpec

# Where a model that is not on this machine is taken to lie on the one that will serve it.
MODELS = Path("/models")

_CATALOGUE = "the catalogue of widely served models"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sizes:
    shape: ModelShape
    found_in: str
    revision: str | None = None


def outline(spec: ModelSpec, *, cache: Path | None = None) -> Model:
    """Return what the spec's model is in numbers; no weights are downloaded.

    ``Model.path`` need not exist here: it is then below ``/models``, or as the spec says.
    ``Model.sizes_from`` says where the sizes are from.

    Args:
        cache: As :func:`resolve` has it; None for replicore's own.

    Raises:
        ConfigError: ``spec`` names nothing that a model can be.
        ModelError: A file is malformed, or nothing here knows the model's sizes.
    """
    source = parse_source(spec.source)
    here = _on_this_machine(source, spec, cache)
    if here is not None:
        return here
    sizes = _sizes(source, spec)
    path = _planned_path(source)
    return Model(
        source=spec.source,
        served_name=spec.served_name or served_name(source, path),
        path=path,
        shape=sizes.shape,
        revision=sizes.revision,
        sizes_from=sizes.found_in,
    )


def _on_this_machine(source: Source, spec: ModelSpec, cache: Path | None) -> Model | None:
    if isinstance(source, LocalSource) and not _has_files(source.path):
        return None
    offline = spec.model_copy(update={"offline": True})
    try:
        return resolve(offline, cache=cache or cache_folder())
    except ModelError:
        if isinstance(source, LocalSource):
            raise
        return None


def _has_files(path: Path) -> bool:
    """Whether a path is more than a folder with a ``config.json`` that is there for planning."""
    if not path.is_dir():
        return path.exists()
    return any(path.glob("*.safetensors")) or not (path / CONFIG).is_file()


def _sizes(source: Source, spec: ModelSpec) -> _Sizes:
    match source:
        case LocalSource(path):
            return _sizes_of_folder(path)
        case BuiltinSource(name):
            return _known(f"builtin:{name}") or _unknown(spec.source)
        case HubSource(pick=str()):
            raise ModelError(
                f"model.source: {spec.source} is not on this machine, and the sizes of a GGUF file "
                "are in the file itself",
                hint="download it first, or set model.source to the repository of the full model",
            )
        case HubSource(repo):
            return _sizes_of_repository(repo, spec)


def _sizes_of_folder(path: Path) -> _Sizes:
    """From the folder's ``config.json`` and what its index declares; else by the folder's name."""
    known = _known(path.name)
    if not (path / CONFIG).is_file():
        return known or _unknown(str(path))
    has_index = (path / INDEX).is_file()
    stored = None if known is None or has_index else known.shape.weight_bytes
    shape = read_config_shape(path, stored_bytes=stored)
    return _Sizes(shape=shape, found_in=str(path / CONFIG))


def _sizes_of_repository(repo: str, spec: ModelSpec) -> _Sizes:
    known = _known(repo)
    if known is not None and spec.revision is None:
        return known
    known = known or _variant(repo)
    if spec.offline or is_offline():
        return known or _unknown(repo)
    try:
        shape, commit = fetch_sizes(repo, spec.revision)
    except ModelError:
        if known is None:
            raise
        return known
    return _Sizes(shape=shape, found_in=f"the hub's {CONFIG}", revision=commit)


def _known(name: str) -> _Sizes | None:
    shape = find_known(name)
    return _Sizes(shape=shape, found_in=_CATALOGUE) if shape is not None else None


def _variant(name: str) -> _Sizes | None:
    """Return the sizes of a copy or a quantised file of a catalogued model, by its name."""
    shape = find_variant(name)
    found_in = f"{_CATALOGUE}, by the name of the model that it is a variant of"
    return _Sizes(shape=shape, found_in=found_in) if shape is not None else None


def _unknown(name: str) -> _Sizes:
    near = nearest_known(name)
    raise ModelError(
        f"model.source: {name} is not on this machine, and its sizes are not in {_CATALOGUE}",
        hint=f'did you mean "{near}"?' if near else "a folder with its config.json is enough",
    )


def _planned_path(source: Source) -> Path:
    match source:
        case LocalSource(path):
            return path.absolute()
        case BuiltinSource(name):
            return MODELS / BUILTINS[name].file
        case HubSource(repo):
            return MODELS / repo
