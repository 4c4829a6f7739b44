"""Which of a folder's or a repository's files make up the model; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from replicore.errors import ModelError
from replicore.models.config_json import CONFIG, weight_files
from replicore.models.gguf_files import gguf_models, pick_model, shards

# Configuration, tokenizer, chat template, and the Python of models that bring their own.
_SMALL_FILES = (".json", ".model", ".txt", ".tiktoken", ".jinja", ".py")


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The files of one model.

    Attributes:
        entry: The GGUF file to give to an engine; None means the folder itself.
        names: All files, relative to the folder.
    """

    entry: str | None
    names: tuple[str, ...]


def choose_files(names: Iterable[str], pick: str | None, *, where: str) -> ModelFiles:
    """Return the model among ``names``: safetensors with a ``config.json``, else one GGUF.

    Args:
        pick: A GGUF file or quantisation; it goes before safetensors.
        where: Whose files these are, for errors.

    Raises:
        ConfigError: Several GGUF models, or none that fits ``pick``.
        ModelError: Nothing that an engine can load.
    """
    names = tuple(names)
    top = [name for name in names if "/" not in name]
    weights = weight_files(top)
    if pick is None and CONFIG in top and weights:
        small = [name for name in top if name.endswith(_SMALL_FILES)]
        return ModelFiles(None, (*weights, *small))
    if pick is None and not gguf_models(names):
        lacks = "no .safetensors file" if CONFIG in top else f"no {CONFIG}"
        raise ModelError(f"{where} has {lacks}, and no .gguf file")
    entry = pick_model(names, pick, where=where)
    return ModelFiles(entry, shards(entry))
