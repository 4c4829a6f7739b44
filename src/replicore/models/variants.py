"""Find a model of the catalogue by the names that people, copies and quantised files give to it.

The rule: the owner goes, and what is in brackets; words at the end that tell of tuning or
quantisation go; then the words that are left must be those of one model, or begin those of models
that are all of one size.
``nvidia/Llama-3.3-70B-Instruct-FP8`` is so ``llama 3.3 70b``, and Llama 3.3 70B with weights of
8 bits; ``qwen3`` begins models of many sizes, and is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache

from replicore.models.formats import in_format
from replicore.models.known import find_known, known_models
from replicore.models.shape import ModelShape

# Words at the end of a name that do not tell which model it is
_TUNING = frozenset(
    ("hf", "instruct", "chat", "it", "pt", "base", "dynamic", "kv", "static", "pertensor", "online")
)
_FORMAT_WORDS: Mapping[str, str] = {
    "fp8": "fp8",
    "w8a8": "int8",
    "int8": "int8",
    "awq": "int4",
    "gptq": "int4",
    "w4a16": "int4",
    "int4": "int4",
    "4bit": "int4",
    "nvfp4": "nvfp4",
    "fp4": "nvfp4",
    "mxfp4": "mxfp4",
    "bf16": "bf16",
    "fp16": "bf16",
}


def find_variant(name: str) -> ModelShape | None:
    """Return the shape of the model that ``name`` is a variant of, in the format that it names.

    None where it is none of the catalogue, or may be several of different size.
    """
    known = find_known(name)
    if known is not None:
        return known
    words, weights = _stripped(name)
    shape = _exact(words) or _beginning(words)
    if shape is None or weights is None:
        return shape
    return in_format(shape, weights)


def _stripped(name: str) -> tuple[tuple[str, ...], str | None]:
    """Return the words that tell the model, and the format that the others tell."""
    words = re.split(r"[-_ ]+", name.partition(" (")[0].rpartition("/")[2].lower())
    weights = None
    while len(words) > 1 and (words[-1] in _TUNING or words[-1] in _FORMAT_WORDS):
        weights = _FORMAT_WORDS.get(words.pop(), weights)
    if words[0] == "meta":
        del words[0]
    return _split("-".join(words)), weights


def _split(text: str) -> tuple[str, ...]:
    """``qwen3-8b`` and ``qwen-3-8b`` are the same words."""
    return tuple(re.findall(r"[a-z]+|\d+(?:\.\d+)*[a-z]*", text))


def _exact(words: tuple[str, ...]) -> ModelShape | None:
    return next((shape for known, shape in _names() if known == words), None)


def _beginning(words: tuple[str, ...]) -> ModelShape | None:
    found = [shape for known, shape in _names() if known[: len(words)] == words]
    return found[0] if found and _is_one_size(found) else None


def _is_one_size(shapes: Iterable[ModelShape]) -> bool:
    return len({(shape.layers, shape.hidden, shape.weight_bytes // 10**9) for shape in shapes}) == 1


@cache
def _names() -> tuple[tuple[tuple[str, ...], ModelShape], ...]:
    return tuple((_stripped(name)[0], shape) for name, shape in known_models().items())
