from __future__ import annotations

import pytest

from replicore.errors import ModelError
from replicore.models.files import ModelFiles, choose_files

FOLDER = ("config.json", "model-1.safetensors", "consolidated.safetensors", "tokenizer.model")


def test_safetensors_go_before_a_gguf_that_is_not_asked_for() -> None:
    files = choose_files((*FOLDER, "m-Q8_0.gguf"), None, where="org/m")

    assert files == ModelFiles(None, ("model-1.safetensors", "config.json", "tokenizer.model"))


def test_gguf_that_is_asked_for_goes_before_safetensors() -> None:
    files = choose_files((*FOLDER, "m-Q8_0.gguf"), "Q8_0", where="org/m")

    assert files == ModelFiles("m-Q8_0.gguf", ("m-Q8_0.gguf",))


def test_gguf_in_a_folder_brings_its_shards() -> None:
    names = ("Q8_0/m-00001-of-00002.gguf", "Q8_0/m-00002-of-00002.gguf", "Q4_0/m.gguf")

    assert choose_files(names, "Q8_0", where="org/m") == ModelFiles(names[0], names[:2])


@pytest.mark.parametrize(
    ("names", "lacks"),
    [((), r"no config\.json"), (("config.json", "pytorch_model.bin"), r"no \.safetensors file")],
)
def test_nothing_to_load_is_an_error_that_says_what_lacks(
    names: tuple[str, ...], lacks: str
) -> None:
    with pytest.raises(ModelError, match=rf"org/m has {lacks}, and no \.gguf file"):
        choose_files(names, None, where="org/m")
