"""Read a model's shape from a folder with ``config.json`` and safetensors (Hugging Face)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from replicore.errors import ModelError
from replicore.models.shape import ModelShape

CONFIG = "config.json"
INDEX = "model.safetensors.index.json"

# The names that model families give to the same size, the most common first.
_LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
_HIDDEN = ("hidden_size", "n_embd", "d_model")
_HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads")
_KV_HEADS = ("num_key_value_heads", "num_kv_heads", "n_head_kv")
_VOCAB = ("vocab_size",)
_MAX_MODEL_LEN = (
    "max_position_embeddings",
    "n_positions",
    "max_sequence_length",
    "max_seq_len",
    "seq_length",
    "n_ctx",
)


def read_config_shape(folder: Path, *, stored_bytes: int | None = None) -> ModelShape:
    """Return the shape of the model in ``folder``.

    Args:
        stored_bytes: Size of the weights, where neither they nor their index are in ``folder``.

    Raises:
        ModelError: A file or a key is missing or malformed; names it.
    """
    config = _Config(folder / CONFIG)
    hidden, heads = config.size(_HIDDEN), config.size(_HEADS)
    kv_heads, head_dim = _kv_cache_dimensions(config, hidden, heads)
    return ModelShape(
        architecture=config.architecture,
        layers=config.size(_LAYERS),
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        vocab=config.size(_VOCAB),
        max_model_len=config.size(_MAX_MODEL_LEN),
        weight_bytes=weight_bytes(folder) if stored_bytes is None else stored_bytes,
        file_format="safetensors",
    )


def _kv_cache_dimensions(config: _Config, hidden: int, heads: int) -> tuple[int, int]:
    """Return (kv_heads, head_dim)."""
    latent = config.find(("kv_lora_rank",))
    if latent is not None:
        # Multi-head latent attention (DeepSeek) caches one vector of kv_lora_rank +
        # qk_rope_head_dim values for all heads and no separate value vector, which is what
        # one head of half that width takes with its key and its value.
        return 1, (latent + config.size(("qk_rope_head_dim",))) // 2
    kv_heads = 1 if config.is_multi_query else config.find(_KV_HEADS) or heads
    return kv_heads, config.find(("head_dim",)) or hidden // heads


class _Config:
    """The sizes in a ``config.json``; those of a multimodal model's text part come first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        whole = _read_json(path)
        text = whole.get("text_config")
        self._values = {**whole, **text} if isinstance(text, dict) else whole

    @property
    def architecture(self) -> str:
        name = self._values.get("model_type")
        if not isinstance(name, str):
            raise ModelError(f'{self._path}: there is no "model_type"')
        return name

    @property
    def is_multi_query(self) -> bool:
        """Falcon-7B and GPT-BigCode: all heads share one key and value."""
        new_decoder = self._values.get("new_decoder_architecture") is True
        return self._values.get("multi_query") is True and not new_decoder

    def find(self, names: Iterable[str]) -> int | None:
        """Return the first of ``names`` that is a size; a key may also be there and null."""
        for name in names:
            value = self._values.get(name)
            if isinstance(value, int) and value > 0:
                return value
        return None

    def size(self, names: tuple[str, ...]) -> int:
        value = self.find(names)
        if value is None:
            others = f" (nor {', '.join(names[1:])})" if len(names) > 1 else ""
            raise ModelError(f'{self._path}: there is no usable "{names[0]}"{others}')
        return value


def weight_bytes(folder: Path) -> int:
    """Return the size of the folder's safetensors files, in bytes.

    An index without any of its files, as one has for planning, counts what it declares.

    Raises:
        ModelError: There are no weights, or not all that the index names.
    """
    index_path = folder / INDEX
    if not index_path.is_file():
        return _sum_sizes(folder, weight_files(file.name for file in folder.iterdir()))
    index = _read_json(index_path)
    names = sorted(set(index.get("weight_map", {}).values()))
    missing = [name for name in names if not (folder / name).is_file()]
    declared = index.get("metadata", {}).get("total_size")
    if names == missing and isinstance(declared, int):
        return declared
    if missing:
        raise ModelError(f"{index_path} names files that are not there: {', '.join(missing)}")
    return _sum_sizes(folder, names)


def weight_files(names: Iterable[str]) -> list[str]:
    """Return the safetensors files among ``names`` that an engine loads.

    Mistral's repositories carry the weights twice, as ``model-*`` and as ``consolidated``.
    """
    found = sorted(name for name in names if name.endswith(".safetensors"))
    return [name for name in found if name.startswith("model")] or found


def _sum_sizes(folder: Path, names: list[str]) -> int:
    if not names:
        raise ModelError(f"{folder} has no .safetensors file")
    return sum((folder / name).stat().st_size for name in names)


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise ModelError(f"{path.parent} has no {path.name}") from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise ModelError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path} holds no JSON object")
    return value
