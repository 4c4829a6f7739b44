"""How far an artefact is from what a spec asks for, field by field. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from replicore.engines.recipe import Value
from replicore.wording import shortened

# The same weights compiled for another layout are nearer than other weights for the same layout.
MODEL = "model."

Named = TypeVar("Named")


class Missing(Enum):
    """Says of a field that one side does not have it; ``null`` is a value like any other."""

    MISSING = "missing"


MISSING = Missing.MISSING


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A field that is not the same.

    Attributes:
        name: As in ``Recipe.fields``; ``a.b`` for the key ``b`` of a table ``a``.
        found: What the artefact was made with.
        wanted: What the spec asks for.
    """

    name: str
    found: Value | Missing
    wanted: Value | Missing

    def __str__(self) -> str:
        return f"{self.name}: made with {written(self.found)}, wanted {written(self.wanted)}"


def differences(found: Mapping[str, Value], wanted: Mapping[str, Value]) -> tuple[Difference, ...]:
    """Return the fields that differ, in the order of ``wanted``, then those that only exist."""
    have, want = _flattened(found), _flattened(wanted)
    names = [*want, *(name for name in have if name not in want)]
    return tuple(
        Difference(name=name, found=have.get(name, MISSING), wanted=want.get(name, MISSING))
        for name in names
        if not _is_same(have.get(name, MISSING), want.get(name, MISSING))
    )


def nearest_first(
    artefacts: Iterable[tuple[Named, Mapping[str, Value]]], wanted: Mapping[str, Value]
) -> list[tuple[Named, tuple[Difference, ...]]]:
    """Return the artefacts with what differs: those of the same model first, then by how much."""
    compared = [(named, differences(fields, wanted)) for named, fields in artefacts]
    return sorted(compared, key=lambda pair: (_is_of_another_model(pair[1]), len(pair[1])))


def written(value: Value | Missing) -> str:
    """Return a field's value on one line, as TOML where TOML can have it."""
    if value is MISSING:
        return "nothing"
    if value is None:
        return "unset"
    return shortened(json.dumps(value, ensure_ascii=False))


def _is_of_another_model(differing: tuple[Difference, ...]) -> bool:
    return any(one.name.startswith(MODEL) for one in differing)


def _is_same(one: Value | Missing, other: Value | Missing) -> bool:
    # Not ==: to Python True is 1 and 1 is 1.0, and the digest tells them apart.
    if isinstance(one, Missing) or isinstance(other, Missing):
        return one is other
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _flattened(fields: Mapping[str, Value]) -> dict[str, Value]:
    """Return the fields with tables taken apart, so that a difference is one key of one."""
    flat: dict[str, Value] = {}
    for name, value in fields.items():
        if isinstance(value, dict) and value:
            flat |= {f"{name}.{inner}": one for inner, one in _flattened(value).items()}
        else:
            flat[name] = value
    return flat
