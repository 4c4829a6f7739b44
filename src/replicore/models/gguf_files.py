"""Which GGUF file of many is meant; pure.

A GGUF model is one file, or numbered shards of which engines are given the first
(``name-00001-of-00003.gguf``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from replicore.errors import ConfigError, ModelError
from replicore.wording import listed, nearest, quoted

_SHARD = re.compile(r"(?P<stem>.+)-(?P<index>\d{5})-of-(?P<count>\d{5})\.gguf")
# llama.cpp's companions of a model: image projectors and quantisation statistics.
_COMPANION = re.compile(r"mmproj|imatrix", re.IGNORECASE)


def shards(name: str) -> tuple[str, ...]:
    """Return the names of all files of the model that starts with file ``name``.

    Raises:
        ModelError: ``name`` is a later shard.
    """
    match = _SHARD.fullmatch(name)
    if match is None:
        return (name,)
    stem, count = match["stem"], int(match["count"])
    names = tuple(f"{stem}-{i:05}-of-{count:05}.gguf" for i in range(1, count + 1))
    if int(match["index"]) != 1:
        raise ModelError(f"{name} is not the first of {count} shards; that is {names[0]}")
    return names


def model_stem(name: str) -> str:
    """Return the file's name without ``.gguf`` and without the shard's number."""
    match = _SHARD.fullmatch(name)
    return match["stem"] if match is not None else name.removesuffix(".gguf")


def gguf_models(names: Iterable[str]) -> tuple[str, ...]:
    """Return the models among ``names``, each by its first file, sorted."""
    return tuple(sorted(name for name in names if _starts_a_model(name)))


def _starts_a_model(name: str) -> bool:
    if not name.endswith(".gguf") or _COMPANION.search(name):
        return False
    match = _SHARD.fullmatch(name)
    return match is None or int(match["index"]) == 1


def pick_model(names: Iterable[str], pick: str | None, *, where: str) -> str:
    """Return the one model among ``names`` that ``pick`` means, by its first file.

    Args:
        pick: A file's name, or a dash- or dot-separated part of it in any case (``Q4_K_M``);
            None takes the only model there is.
        where: Whose files these are, for errors.

    Raises:
        ConfigError: None or several fit.
    """
    names = tuple(names)
    if pick in names:
        return shards(pick)[0]
    models = gguf_models(names)
    found = models if pick is None else tuple(m for m in models if _has_part(m, pick))
    if len(found) == 1:
        return found[0]
    raise _not_one(found, models, pick, where)


def _has_part(name: str, part: str) -> bool:
    pattern = rf"(?<![^-./]){re.escape(part)}(?![^-./])"
    return re.search(pattern, name, re.IGNORECASE) is not None


def _not_one(
    found: tuple[str, ...], models: tuple[str, ...], pick: str | None, where: str
) -> ConfigError:
    if found:
        wanted = "GGUF models" if pick is None else f"GGUF models that fit {quoted(pick)}"
        return ConfigError(
            f"{where} has {len(found)} {wanted}, and one must be picked: {listed(found)}",
            hint="name one: ORG/NAME:FILE.gguf of a repository, or the path of the file itself",
        )
    if pick is None or not models:
        return ConfigError(f"{where} has no GGUF model")
    parts = {part for model in models for part in re.split("[-./]", model)}
    near = nearest(pick, parts)
    return ConfigError(
        f"{where} has no GGUF model that fits {quoted(pick)}; it has: {listed(models)}",
        hint=f'did you mean ":{near}"?' if near is not None else None,
    )
