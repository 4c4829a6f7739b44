"""Read a model's shape from a folder with ``config.json`` and safetensors (Hugging Face)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from replicore.errors import ModelError
from replicore.models.anatomy import Anatomy
from replicore.models.config_anatomy import Dimensions, read_anatomy
from replicore.models.config_values import ConfigValues
from replicore.models.shape import ModelShape
from replicore.models.stored import as_stored

CONFIG = "config.json"
INDEX = "model.safetensors.index.json"
QUANTISATION = "hf_quant_config.json"

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
_DRAFT_LAYERS = ("num_nextn_predict_layers", "num_mtp_modules", "mtp_num_hidden_layers")


def read_config_shape(folder: Path, *, stored_bytes: int | None = None) -> ModelShape:
    """Return the shape of the model in ``folder``.

    Args:
        stored_bytes: Size of the weights, where neither they nor their index are in ``folder``.

    Raises:
        ModelError: A file or a key is missing or malformed; names it.
    """
    config = _read_config(folder)
    sizes = _dimensions(config)
    kv_heads, head_dim = _kv_cache_dimensions(config, sizes)
    stored = weight_bytes(folder) if stored_bytes is None else stored_bytes
    return ModelShape(
        architecture=config.architecture,
        layers=sizes.layers,
        hidden=sizes.hidden,
        heads=sizes.heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        vocab=sizes.vocab,
        max_model_len=sizes.max_model_len,
        weight_bytes=stored,
        file_format="safetensors",
        anatomy=_anatomy(config, sizes, stored),
    )


def _read_config(folder: Path) -> ConfigValues:
    """Return the values of ``config.json``, and of NVIDIA's file of quantisation beside it."""
    path = folder / CONFIG
    values = _read_json(path)
    apart = folder / QUANTISATION
    if apart.is_file() and "quantization_config" not in values:
        values = {**values, "quantization_config": _read_json(apart).get("quantization")}
    return ConfigValues(path, values)


def _dimensions(config: ConfigValues) -> Dimensions:
    hidden, heads = config.size(_HIDDEN), config.size(_HEADS)
    return Dimensions(
        layers=config.size(_LAYERS),
        hidden=hidden,
        heads=heads,
        kv_heads=1 if _is_multi_query(config) else config.find(_KV_HEADS) or heads,
        head_dim=config.find(("head_dim",)) or hidden // heads,
        vocab=config.size(_VOCAB),
        max_model_len=config.size(_MAX_MODEL_LEN),
    )


def _is_multi_query(config: ConfigValues) -> bool:
    """Falcon-7B and GPT-BigCode: all heads share one key and value."""
    return config.is_true("multi_query") and not config.is_true("new_decoder_architecture")


def _kv_cache_dimensions(config: ConfigValues, sizes: Dimensions) -> tuple[int, int]:
    """Return (kv_heads, head_dim)."""
    latent = config.find(("kv_lora_rank",))
    if latent is None:
        return sizes.kv_heads, sizes.head_dim
    # Multi-head latent attention (DeepSeek) caches one vector of kv_lora_rank + qk_rope_head_dim
    # values for all heads and no separate value vector, which is what one head of half that width
    # takes with its key and its value.
    return 1, (latent + config.size(("qk_rope_head_dim",))) // 2


def _anatomy(config: ConfigValues, sizes: Dimensions, stored_bytes: int) -> Anatomy | None:
    return as_stored(
        read_anatomy(config, sizes),
        stored_bytes,
        is_multimodal=config.is_multimodal,
        has_draft=config.find(_DRAFT_LAYERS) is not None,
    )


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
