from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np
import pytest

from replicore.models.anatomy import Anatomy
from replicore.models.parts import Window
from replicore.models.read import read_shape
from replicore.models.resolve import resolve
from replicore.spec import ModelSpec

# h = 64, 4 heads of 16, 2 key/value heads, f = 128, V = 100
HIDDEN, KV, WIDTH, VOCAB, LAYERS = 64, 32, 128, 100, 2
LAYER: Mapping[str, tuple[int, ...]] = {
    "attn_norm": (HIDDEN,),
    "attn_q": (HIDDEN, HIDDEN),
    "attn_k": (KV, HIDDEN),
    "attn_v": (KV, HIDDEN),
    "attn_output": (HIDDEN, HIDDEN),
    "ffn_norm": (HIDDEN,),
    "ffn_gate": (WIDTH, HIDDEN),
    "ffn_up": (WIDTH, HIDDEN),
    "ffn_down": (HIDDEN, WIDTH),
}
EXPERTS = 4
MIXTURE = {
    "ffn_gate": None,
    "ffn_up": None,
    "ffn_down": None,
    "ffn_gate_inp": (EXPERTS, HIDDEN),
    "ffn_gate_exps": (EXPERTS, 32, HIDDEN),
    "ffn_up_exps": (EXPERTS, 32, HIDDEN),
    "ffn_down_exps": (EXPERTS, HIDDEN, 32),
}


def write_llama(
    path: Path,
    layer: Mapping[str, tuple[int, ...] | None] | None = None,
    *,
    biases: tuple[str, ...] = (),
    tied: bool = False,
    numbers: Mapping[str, int] | None = None,
) -> Path:
    """Write a Llama with all its tensors, the norms in 32 and the rest in 16 bits."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(LAYERS)
    writer.add_context_length(128)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(WIDTH)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_token_list([f"token {i}" for i in range(VOCAB)])
    for key, value in (numbers or {}).items():
        writer.add_uint32(f"llama.{key}", value)
    shapes = {**LAYER, **(layer or {})}
    for block in range(LAYERS):
        for name, dimensions in shapes.items():
            if dimensions is not None:
                _add(writer, f"blk.{block}.{name}.weight", dimensions)
        for name in biases:
            _add(writer, f"blk.{block}.{name}.bias", (shapes[name] or (0,))[:1])
    _add(writer, "token_embd.weight", (VOCAB, HIDDEN))
    _add(writer, "output_norm.weight", (HIDDEN,))
    if not tied:
        _add(writer, "output.weight", (VOCAB, HIDDEN))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add(writer: gguf.GGUFWriter, name: str, dimensions: tuple[int, ...]) -> None:
    kind = np.float32 if "norm" in name or name.endswith("bias") else np.float16
    writer.add_tensor(name, np.zeros(dimensions, kind))


def anatomy(path: Path) -> Anatomy:
    found = read_shape(path).anatomy
    assert found is not None
    return found


# A layer: q and o 2 x 4096, k and v 2 x 2048, MLP 3 x 8192, norms 2 x 64 = 36,992
DENSE = 2 * VOCAB * HIDDEN + HIDDEN + LAYERS * 36_992


def test_gguf_file_has_the_parameters_of_its_tensors(tmp_path: Path) -> None:
    found = anatomy(write_llama(tmp_path / "m.gguf"))

    assert (found.parameters, found.intermediate, found.tied) == (DENSE, WIDTH, False)


def test_gguf_file_without_output_layer_is_tied(tmp_path: Path) -> None:
    found = anatomy(write_llama(tmp_path / "m.gguf", tied=True))

    assert found.tied
    assert found.parameters == DENSE - VOCAB * HIDDEN


def test_gguf_biases_and_norms_are_those_that_have_tensors(tmp_path: Path) -> None:
    norms = {"attn_q_norm": (16,), "attn_k_norm": (16,), "post_ffw_norm": (HIDDEN,)}
    biases = ("attn_q", "attn_k", "attn_v")
    found = anatomy(write_llama(tmp_path / "m.gguf", norms, biases=biases))

    assert (found.qkv_bias, found.output_bias, found.qk_norm, found.norm_vectors) == (
        True,
        False,
        32,
        3,
    )
    assert found.parameters == DENSE + LAYERS * (32 + 64 + 64 + 2 * 32)


def test_gguf_parts_have_the_bytes_of_their_tensors_types(tmp_path: Path) -> None:
    found = anatomy(write_llama(tmp_path / "m.gguf"))
    norms = HIDDEN + LAYERS * 2 * HIDDEN

    assert (found.weights.bytes_of("mlp"), found.weights.bytes_of("norms")) == (2.0, 4.0)
    assert found.weight_bytes == 2 * DENSE + 2 * norms


def test_gguf_experts_are_those_of_the_metadata(tmp_path: Path) -> None:
    numbers = {"expert_count": EXPERTS, "expert_used_count": 2, "expert_feed_forward_length": 32}
    found = anatomy(write_llama(tmp_path / "m.gguf", MIXTURE, numbers=numbers))

    assert found.experts is not None
    assert (found.experts.count, found.experts.per_token, found.experts.intermediate) == (4, 2, 32)
    # Instead of an MLP: a router of 4 x 64 and 4 experts of 3 x 64 x 32
    assert found.parameters == DENSE + LAYERS * (4 * 64 + 4 * 6144 - 3 * 8192)
    assert found.active_parameters == found.parameters - LAYERS * 2 * 6144


def test_gguf_window_is_of_the_layers_of_its_pattern(tmp_path: Path) -> None:
    numbers = {"attention.sliding_window": 8, "attention.sliding_window_pattern": 2}
    found = anatomy(write_llama(tmp_path / "m.gguf", numbers=numbers))

    assert found.window == Window(tokens=8, layers=1)


def test_gguf_tensors_of_no_known_part_are_loaded_and_not_read(tmp_path: Path) -> None:
    found = anatomy(write_llama(tmp_path / "m.gguf", {"something_new": (10, HIDDEN)}))

    assert found.other == LAYERS * 640


def test_gguf_file_that_lacks_tensors_has_no_anatomy(tmp_path: Path) -> None:
    path = write_llama(tmp_path / "m.gguf", {"ffn_up": None, "attn_q": None})

    assert read_shape(path).anatomy is None


def test_embedded_model_has_the_bytes_of_its_file(tmp_path: Path) -> None:
    spec = ModelSpec.model_validate({"source": "builtin:smollm2-135m", "offline": True})
    shape = resolve(spec, cache=tmp_path).shape

    assert shape.anatomy is not None
    assert shape.anatomy.parameters == 134_515_008
    assert shape.anatomy.weight_bytes == pytest.approx(shape.weight_bytes, abs=32 * 300)
