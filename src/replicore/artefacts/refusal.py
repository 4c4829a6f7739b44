"""Why a spec cannot be served with the artefacts that there are, and both ways out."""

from __future__ import annotations

from replicore.artefacts.digest import digest
from replicore.artefacts.manifest import MANIFEST
from replicore.artefacts.match import MISSING, MODEL, Difference, nearest_first, written
from replicore.artefacts.store import Entry, State, Store
from replicore.engines.recipe import Recipe
from replicore.errors import ArtefactError
from replicore.spec.keys import keys

_COMPILE = "`replicore compile SPEC`, or `replicore up --compile`, makes it"
_ANEW = "`replicore compile SPEC` makes it anew"

# What NxD Inference writes into a folder that it compiles into.
_HAND_MADE = ("model.pt", "neuron_config.json")


def refusal(store: Store, recipe: Recipe) -> ArtefactError:
    """Return the error for a recipe whose artefact is not there, or is not whole.

    Raises:
        ArtefactError: The artefacts cannot be looked at.
    """
    entry = store.entry(digest(recipe.fields))
    if entry.state is State.UNREADABLE:
        return ArtefactError(entry.problem, hint="`replicore compile --force` makes it anew")
    if entry.state is State.COMPLETE:
        problem = f"{entry.path / MANIFEST} has other fields than {entry.digest} stands for"
        return ArtefactError(problem, hint=_ANEW)
    if entry.state is not State.ABSENT:
        return ArtefactError(entry.problem, hint=_ANEW)
    if any((store.root / name).exists() for name in _HAND_MADE):
        return _hand_made(store)
    others = [one for one in store.entries() if one.state is State.COMPLETE]
    return _absent(store, recipe, others)


def _absent(store: Store, recipe: Recipe, others: list[Entry]) -> ArtefactError:
    ranked = nearest_first(((one, one.fields) for one in others), recipe.fields)
    if not ranked:
        return ArtefactError(
            f"nothing has been compiled for this spec in {store.root}", hint=_COMPILE
        )
    nearest, differing = ranked[0]
    head = f"nothing has been compiled for this spec; what comes nearest, {nearest.path}, differs:"
    lines = [head, *(f"  {one}" for one in differing)]
    return ArtefactError("\n".join(lines), hint=_ways_out(nearest, differing))


def _ways_out(nearest: Entry, differing: tuple[Difference, ...]) -> str:
    """Say both: make it, or take what there is, where the spec alone can."""
    if all(one.found is MISSING for one in differing):  # an older replicore described it by less
        return f"{_COMPILE}; `replicore artefacts adopt {nearest.path} SPEC` takes it for the same"
    if not all(_can_be_set(one) for one in differing):
        return _COMPILE
    settings = ", ".join(f"{one.name} = {written(one.found)}" for one in differing)
    return f"{_COMPILE}; or take what is there, with {settings}"


def _can_be_set(one: Difference) -> bool:
    """Whether a key of the spec brings it back; another model is not what was asked for."""
    is_key = tuple(one.name.split(".")) in keys() and not one.name.startswith(MODEL)
    return is_key and one.found is not MISSING and one.found is not None


def _hand_made(store: Store) -> ArtefactError:
    return ArtefactError(
        f"{store.root} is a compiled model itself, not a folder of artefacts",
        hint=f"`replicore artefacts adopt {store.root} SPEC` takes it over, "
        "with engine.neuron.artefacts set to another folder or left out",
    )
