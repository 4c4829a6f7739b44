"""A Llama of random weights with a tokenizer of bytes, of any size: tests take the smallest.

Its weights are wide, so that greedy text does not run into a loop but depends on all that was said
before: two texts are only equal if every token before them was.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

VOCAB = 320  # a multiple of 64, to which vLLM pads
MAX_MODEL_LEN = 4096
WIDTH = 1.6


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large the model is; ``heads * head_dim`` is the hidden size."""

    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int

    @property
    def hidden(self) -> int:
        return self.heads * self.head_dim


# The smallest for which vLLM has kernels on CPU cores: 0.4 million parameters.
TINY = Size(layers=2, heads=4, kv_heads=2, head_dim=32, intermediate=256)

BEGIN, END = "<s>", "</s>"
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "[{{ message['role'] }}]{{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)

Tensors = dict[str, NDArray[np.float32]]


def write_tiny_llama(folder: Path, size: Size = TINY) -> Path:
    """Write the model in the Hugging Face layout and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    _write_json(folder / "config.json", _config(tokenizer, size))
    _write_json(folder / "tokenizer_config.json", _tokenizer_config())
    _write_safetensors(folder / "model.safetensors", dict(_weights(tokenizer, size)))
    return folder


def _tokenizer() -> Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {symbol: index for index, symbol in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([BEGIN, END])
    return tokenizer


def _config(tokenizer: Tokenizer, size: Size) -> dict[str, object]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": size.hidden,
        "intermediate_size": size.intermediate,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "num_key_value_heads": size.kv_heads,
        "head_dim": size.head_dim,
        "vocab_size": VOCAB,
        "max_position_embeddings": MAX_MODEL_LEN,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "bos_token_id": tokenizer.token_to_id(BEGIN),
        "eos_token_id": tokenizer.token_to_id(END),
    }


def _tokenizer_config() -> dict[str, object]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BEGIN,
        "eos_token": END,
        "model_max_length": MAX_MODEL_LEN,
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }


def _weights(tokenizer: Tokenizer, size: Size) -> Iterator[tuple[str, NDArray[np.float32]]]:
    random = np.random.default_rng(0)

    def matrix(rows: int, columns: int) -> NDArray[np.float32]:
        values = random.standard_normal((rows, columns)) * (WIDTH / math.sqrt(columns))
        return values.astype(np.float32)

    hidden, keys = size.hidden, size.kv_heads * size.head_dim
    ones = np.ones(hidden, np.float32)
    yield "model.embed_tokens.weight", random.standard_normal((VOCAB, hidden)).astype(np.float32)
    for layer in range(size.layers):
        name = f"model.layers.{layer}"
        yield f"{name}.input_layernorm.weight", ones
        yield f"{name}.post_attention_layernorm.weight", ones
        yield f"{name}.self_attn.q_proj.weight", matrix(hidden, hidden)
        yield f"{name}.self_attn.k_proj.weight", matrix(keys, hidden)
        yield f"{name}.self_attn.v_proj.weight", matrix(keys, hidden)
        yield f"{name}.self_attn.o_proj.weight", matrix(hidden, hidden)
        yield f"{name}.mlp.gate_proj.weight", matrix(size.intermediate, hidden)
        yield f"{name}.mlp.up_proj.weight", matrix(size.intermediate, hidden)
        yield f"{name}.mlp.down_proj.weight", matrix(hidden, size.intermediate)
    yield "model.norm.weight", ones
    yield "lm_head.weight", matrix(VOCAB, hidden) * _printable(tokenizer)


def _printable(tokenizer: Tokenizer) -> NDArray[np.float32]:
    """Return 1 for each token that is a printable ASCII character: no other is ever likeliest."""
    mask = np.zeros((VOCAB, 1), np.float32)
    for code in range(ord("!"), ord("~") + 1):
        mask[tokenizer.token_to_id(chr(code))] = 1
    return mask


def _write_safetensors(path: Path, tensors: Tensors) -> None:
    """Write the format as published: the header's length, the header, and the bytes in order."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, tensor in tensors.items():
        start, end = end, end + tensor.nbytes
        header[name] = {"dtype": "F32", "shape": tensor.shape, "data_offsets": (start, end)}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors.values():
            file.write(np.ascontiguousarray(tensor).tobytes())


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1))
