from __future__ import annotations

import contextlib
from pathlib import Path

import gguf
import pytest

from replicore.errors import ModelError
from replicore.models.gguf_header import BLOCKS, StringArray, read_gguf_header
from tests.unit.models.model_files import gguf_bytes, write_gguf


def test_gguf_header_has_the_metadata_that_the_gguf_package_wrote(tmp_path: Path) -> None:
    metadata = read_gguf_header(write_gguf(tmp_path / "m.gguf", kv_heads=[2, 1])).metadata

    assert metadata["general.architecture"] == "llama"
    assert metadata["llama.attention.head_count"] == 4
    assert metadata["llama.attention.head_count_kv"] == (2, 1)
    assert metadata["tokenizer.ggml.tokens"] == StringArray(100)
    assert metadata["tokenizer.ggml.scores"] == (0.0,) * 100


def test_gguf_tensor_bytes_count_the_padding_between_tensors(tmp_path: Path) -> None:
    header = read_gguf_header(write_gguf(tmp_path / "m.gguf"))

    # 3 x 5 x 4 = 60 -> 64 with padding; 4 x 64 x 2 = 512
    assert header.tensor_bytes == 64 + 512


def test_gguf_tensor_types_are_those_of_the_gguf_package() -> None:
    known = {int(kind): size for kind, size in gguf.GGML_QUANT_SIZES.items()}

    assert {kind: known.get(kind) for kind in BLOCKS} == BLOCKS


def test_gguf_cut_anywhere_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    whole = gguf_bytes(tmp_path)
    path = tmp_path / "cut.gguf"
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])

        with pytest.raises(ModelError, match=r"cut\.gguf"):
            read_gguf_header(path)


def test_gguf_with_any_header_byte_wrong_is_read_or_refused(tmp_path: Path) -> None:
    """Whatever is in the file, nothing but a ModelError comes out."""
    whole = gguf_bytes(tmp_path)
    path = tmp_path / "wrong.gguf"
    for position in range(0, len(whole) - 576, 5):
        path.write_bytes(whole[:position] + b"\xff" + whole[position + 1 :])

        with contextlib.suppress(ModelError):
            read_gguf_header(path)


def test_gguf_cut_in_its_last_tensor_tells_both_sizes(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf")
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-1])

    with pytest.raises(ModelError, match=f"has {size - 1} bytes, and its tensors end at {size}"):
        read_gguf_header(path)


def test_gguf_of_version_1_is_refused_with_the_versions_that_work(tmp_path: Path) -> None:
    path = tmp_path / "old.gguf"
    path.write_bytes(b"GGUF" + (1).to_bytes(4, "little") + bytes(100))

    with pytest.raises(ModelError, match="format version is 1, and 2 and 3 can be read"):
        read_gguf_header(path)


def test_file_with_other_magic_is_not_a_gguf_file(tmp_path: Path) -> None:
    path = tmp_path / "page.gguf"
    path.write_text("<html>this is what a proxy sent instead</html>")

    with pytest.raises(ModelError, match="is not a GGUF file"):
        read_gguf_header(path)


def test_missing_gguf_file_is_an_error_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No such file"):
        read_gguf_header(tmp_path / "m.gguf")
