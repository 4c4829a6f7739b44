"""All keys of the spec, read off the model: what the loader, the errors and the docs go by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from inspect import getdoc
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from replicore.spec.tables import Spec, Table
from replicore.wording import nearest

KeyPath = tuple[str, ...]

VARIABLE_PREFIX = "REPLICORE_"

# What the engines and older tools call these; for "did you mean" only.
_OTHER_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "dp": "layout.replicas",
        "data_parallel_size": "layout.replicas",
        "tp_degree": "layout.tp",
        "tensor_parallel_size": "layout.tp",
        "max_num_seqs": "layout.batch_size",
        "n_parallel": "layout.batch_size",
        "n_ctx": "layout.max_model_len",
        "seq_len": "layout.max_model_len",
        "model_path": "model.source",
        "path": "model.source",
        "extra_args": "engine.args",
        "llamacpp": "engine.args",
        "gpu_memory_utilization": "engine.vllm.memory_fraction",
        "routing": "gateway.policy",
        "url": "engine.remote.endpoints",
    }
)


@dataclass(frozen=True, slots=True)
class Key:
    """One key of one table.

    Attributes:
        path: From the top of the file, as in ``("layout", "tp")``.
        default: In the form that a file has; None where the key is not set.
        example: A value in the form that a file has.
        choices: The words and numbers that are named as valid; empty where any will do.
        is_table: Whether the value is a table with free keys, as ``engine.env`` is.
    """

    path: KeyPath
    description: str
    default: object
    example: object
    choices: tuple[object, ...]
    is_table: bool

    @property
    def dotted(self) -> str:
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        return VARIABLE_PREFIX + "__".join(self.path).upper()


@dataclass(frozen=True, slots=True)
class Section:
    """One table of the spec; the first one, with an empty path, is the file itself."""

    path: KeyPath
    description: str
    table: type[Table]
    keys: tuple[Key, ...]

    @property
    def dotted(self) -> str:
        return ".".join(self.path)


@cache
def sections() -> tuple[Section, ...]:
    """Return all tables, each before the tables inside it."""
    return tuple(_sections(FieldInfo(annotation=Spec), (), Spec().model_dump(mode="json")))


@cache
def keys() -> Mapping[KeyPath, Key]:
    """Return all keys by their path, in the order of the file."""
    return {key.path: key for section in sections() for key in section.keys}


def section_at(path: KeyPath) -> Section | None:
    return next((section for section in sections() if section.path == path), None)


def nearest_key(path: KeyPath) -> str | None:
    """Return the dotted key that an unknown one was probably meant to be, in whatever table.

    The same word in another table comes first (``tp`` at the top), then a similar word in the
    same table, then a similar one anywhere.
    """
    *parent, word = path
    known = [*(key.dotted for key in keys().values()), *(s.dotted for s in sections()[1:])]
    same_word = [dotted for dotted in known if dotted.rpartition(".")[2] == word]
    if same_word:
        return same_word[0]
    if word in _OTHER_NAMES:
        return _OTHER_NAMES[word]
    siblings = {dotted.rpartition(".")[2]: dotted for dotted in known if _parent(dotted) == parent}
    everywhere = {dotted.rpartition(".")[2]: dotted for dotted in reversed(known)}
    for by_word in (siblings, everywhere):
        match = nearest(word, by_word)
        if match:
            return by_word[match]
    return None


def _parent(dotted: str) -> list[str]:
    return dotted.split(".")[:-1]


def _sections(field: FieldInfo, path: KeyPath, defaults: Mapping[str, Any]) -> Iterator[Section]:
    table = _table(field)
    if table is None:
        return
    own = [
        _key(inner, (*path, name), defaults[name])
        for name, inner in table.model_fields.items()
        if _table(inner) is None
    ]
    yield Section(path, field.description or getdoc(table) or "", table, tuple(own))
    for name, inner in table.model_fields.items():
        yield from _sections(inner, (*path, name), defaults[name])


def _table(field: FieldInfo) -> type[Table] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Table) else None


def _key(field: FieldInfo, path: KeyPath, default: object) -> Key:
    return Key(
        path=path,
        description=field.description or "",
        default=default,
        example=field.examples[0] if field.examples else default,
        choices=tuple(_choices(field.annotation)),
        is_table=get_origin(field.annotation) is dict,
    )


def _choices(annotation: object) -> Iterator[object]:
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    else:
        for part in get_args(annotation):
            yield from _choices(part)
