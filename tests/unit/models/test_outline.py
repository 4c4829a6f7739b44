from __future__ import annotations

import errno
import json
import socket
from pathlib import Path

import pytest

from replicore.errors import ConfigError, ModelError
from replicore.models.known import find_known, known_models, nearest_known
from replicore.models.outline import outline
from replicore.models.shape import Model
from replicore.spec import ModelSpec
from tests.unit.models.model_files import LLAMA, write_folder, write_gguf

# Source: the published totals; those of Qwen3's small models with the tied head counted once.
PARAMETERS = {
    "meta-llama/Llama-3.2-1B": 1_235_814_400,
    "meta-llama/Llama-3.1-8B-Instruct": 8_030_261_248,
    "meta-llama/Llama-3.3-70B-Instruct": 70_553_706_496,
    "meta-llama/Llama-3.1-405B": 405_853_388_800,
    "mistralai/Mistral-7B-v0.3": 7_248_023_552,
    "mistralai/Mistral-Small-24B-Instruct-2501": 23_572_403_200,
    "Qwen/Qwen2.5-0.5B-Instruct": 494_032_768,
    "Qwen/Qwen2.5-7B-Instruct": 7_615_616_512,
    "Qwen/Qwen2.5-72B-Instruct": 72_706_203_648,
    "Qwen/Qwen3-0.6B": 596_049_920,
    "Qwen/Qwen3-8B": 8_190_735_360,
    "Qwen/Qwen3-32B": 32_762_123_264,
    "Qwen/Qwen3-30B-A3B": 30_532_122_624,
    "Qwen/Qwen3-235B-A22B": 235_093_634_560,
    "mistralai/Mixtral-8x7B-v0.1": 46_702_792_704,
    "mistralai/Mixtral-8x22B-Instruct-v0.1": 140_630_071_296,
}

# Source: computed from each config.json, and for Mistral Small what vLLM's log says.
KV_BYTES_PER_TOKEN = {
    "meta-llama/Llama-3.2-1B": 32_768,
    "meta-llama/Llama-3.1-8B-Instruct": 131_072,
    "meta-llama/Llama-3.3-70B-Instruct": 327_680,
    "meta-llama/Llama-3.1-405B": 516_096,
    "mistralai/Mistral-Small-24B-Instruct-2501": 163_840,
    "Qwen/Qwen2.5-0.5B-Instruct": 12_288,
    "Qwen/Qwen2.5-7B-Instruct": 57_344,
    "Qwen/Qwen3-0.6B": 114_688,
    "Qwen/Qwen3-30B-A3B": 98_304,
    "Qwen/Qwen3-235B-A22B": 192_512,
    "mistralai/Mixtral-8x22B-Instruct-v0.1": 229_376,
    "deepseek-ai/DeepSeek-V3": 70_272,
}


@pytest.fixture(name="no_network", autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise OSError(errno.ENETUNREACH, "this test has no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def outline_of(source: Path | str, **more: object) -> Model:
    spec = ModelSpec.model_validate({"source": str(source), **more})
    return outline(spec, cache=Path("/nonexistent"))


@pytest.mark.parametrize("name", PARAMETERS)
def test_catalogue_has_the_bytes_of_all_parameters(name: str) -> None:
    assert known_models()[name].weight_bytes == 2 * PARAMETERS[name]


@pytest.mark.parametrize("name", KV_BYTES_PER_TOKEN)
def test_catalogue_has_the_sizes_of_the_kv_cache(name: str) -> None:
    assert known_models()[name].kv_bytes_per_token() == KV_BYTES_PER_TOKEN[name]


def test_catalogue_has_each_name_once_in_any_letter_case() -> None:
    names = [name.lower() for name in known_models()]

    assert len(set(names)) == len(names)


def test_catalogue_is_found_by_repository_and_by_its_last_part() -> None:
    shape = find_known("meta-llama/Llama-3.3-70B-Instruct")

    assert shape == find_known("LLAMA-3.3-70b-instruct")
    assert find_known("somebody/Llama-3.3-70B-Instruct") is None


def test_misspelt_name_has_the_nearest_one() -> None:
    assert nearest_known("Qwen/Qwen3-8b-x") == "Qwen/Qwen3-8B"


def test_hub_model_of_the_catalogue_is_outlined_without_network() -> None:
    model = outline_of("meta-llama/Llama-3.3-70B-Instruct")

    assert (model.shape.layers, model.shape.heads, model.shape.kv_heads) == (80, 64, 8)
    assert model.path == Path("/models/meta-llama/Llama-3.3-70B-Instruct")
    assert model.sizes_from == "the catalogue of widely served models"


def test_folder_of_another_machine_is_known_by_its_name() -> None:
    model = outline_of("/ubuntu/model_hf/Llama-3.3-70B-Instruct/", served_name="llama")

    assert model.path == Path("/ubuntu/model_hf/Llama-3.3-70B-Instruct")
    assert (model.shape.layers, model.served_name) == (80, "llama")


def test_model_on_this_machine_is_read_and_not_looked_up(tmp_path: Path) -> None:
    model = outline_of(write_folder(tmp_path / "Llama-3.1-8B", weights=100))

    assert (model.shape.layers, model.shape.weight_bytes, model.sizes_from) == (2, 100, None)


def test_gguf_file_is_read_itself(tmp_path: Path) -> None:
    assert outline_of(write_gguf(tmp_path / "m.gguf")).shape.file_format == "gguf"


def test_builtin_model_is_outlined_where_its_package_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed = outline_of("builtin:smollm2-135m")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    model = outline_of("builtin:smollm2-135m")

    assert model.shape == installed.shape
    assert model.path == Path("/models/SmolLM2-135M-Instruct.Q4_1.gguf")


def test_folder_with_config_and_index_counts_what_the_index_declares(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    index = {"metadata": {"total_size": 12345}, "weight_map": {"a": "model-1.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))

    assert outline_of(tmp_path).shape.weight_bytes == 12345


def test_folder_with_config_alone_has_its_weights_from_the_catalogue(tmp_path: Path) -> None:
    folder = tmp_path / "Qwen3-8B"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(LLAMA))
    model = outline_of(folder)

    assert (model.shape.layers, model.shape.weight_bytes) == (2, 2 * PARAMETERS["Qwen/Qwen3-8B"])
    assert model.sizes_from == str(folder / "config.json")


def test_folder_with_config_of_an_unknown_model_lacks_its_weights(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))

    with pytest.raises(ModelError, match=r"has no \.safetensors file"):
        outline_of(tmp_path)


def test_damaged_model_on_this_machine_is_refused_though_its_name_is_known(tmp_path: Path) -> None:
    (tmp_path / "Qwen3-8B.gguf").write_bytes(b"GGUF, but no more")

    with pytest.raises(ModelError):
        outline_of(tmp_path / "Qwen3-8B.gguf")


def test_quantised_copy_of_a_known_model_has_its_sizes_offline() -> None:
    whole = outline_of("meta-llama/Llama-3.3-70B-Instruct", offline=True)
    copy = outline_of("someone/Llama-3.3-70B-Instruct-FP8-dynamic", offline=True)
    assert copy.shape.layers == whole.shape.layers
    assert copy.shape.weight_bytes < 0.6 * whole.shape.weight_bytes


def test_unknown_hub_model_offline_names_the_nearest_known_one() -> None:
    with pytest.raises(ModelError, match="not in the catalogue") as raised:
        outline_of("meta-llama/Llama-3.3-70B-Instrct", offline=True)

    assert raised.value.hint == 'did you mean "meta-llama/Llama-3.3-70B-Instruct"?'


def test_gguf_file_of_the_hub_that_is_not_here_is_refused() -> None:
    with pytest.raises(ModelError, match="sizes of a GGUF file are in the file itself"):
        outline_of("org/name:Q4_K_M", offline=True)


def test_revision_that_the_hub_cannot_be_asked_for_has_the_catalogues_sizes() -> None:
    model = outline_of("Qwen/Qwen3-8B", revision="main")

    assert (model.shape.layers, model.revision) == (36, None)


def test_unreadable_source_is_refused_as_ever() -> None:
    with pytest.raises(ConfigError):
        outline_of("no such source at all!")
