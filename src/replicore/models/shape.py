"""What a model is, in numbers: read from a GGUF file's metadata or a folder's ``config.json``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from replicore.models.anatomy import Anatomy


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """The sizes that memory and legality depend on.

    Attributes:
        layers: Transformer blocks.
        hidden: Width of the residual stream.
        heads: Attention heads (queries).
        kv_heads: Key/value heads; equal to ``heads`` without grouping.
        head_dim: Width of one head.
        vocab: Vocabulary entries.
        max_model_len: Longest sequence the model was trained for, tokens.
        weight_bytes: Bytes of all weights as stored.
        file_format: Of the weights: ``gguf``, or ``safetensors`` for a folder with ``config.json``;
            None for a model without files.
        anatomy: What its parameters are, where that is known; see ``infer.anatomy_of``.
    """

    architecture: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    max_model_len: int
    weight_bytes: int
    file_format: str | None = None
    anatomy: Anatomy | None = None

    def kv_bytes_per_token(self, element_bytes: float = 2.0) -> int:
        """Return the KV cache of one token over all layers, in bytes.

        2 (key and value) x layers x kv_heads x head_dim x element_bytes
        """
        return round(2 * self.layers * self.kv_heads * self.head_dim * element_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model resolved to local files, or outlined without them.

    Attributes:
        source: As written in the spec.
        served_name: The name that clients use.
        path: A ``.gguf`` file, or a folder with ``config.json``; absolute.
        revision: The commit that was resolved, for a hub model.
        sizes_from: Where ``shape`` is from, for people, of a model whose files are not read; see
            ``outline.py``. ``path`` then need not exist here.
    """

    source: str
    served_name: str
    path: Path
    shape: ModelShape
    revision: str | None = None
    sizes_from: str | None = None
