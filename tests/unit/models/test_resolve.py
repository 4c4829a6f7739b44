from __future__ import annotations

import errno
import socket
from pathlib import Path

import pytest

from replicore.errors import ConfigError, ModelError
from replicore.models.resolve import resolve
from replicore.models.shape import Model
from replicore.spec import ModelSpec
from tests.unit.models.model_files import write_folder, write_gguf


@pytest.fixture(name="no_network", autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Local models need no network: every connection fails, and so does every look-up."""

    def refuse(*args: object) -> None:
        raise OSError(errno.ENETUNREACH, "this test has no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def resolve_source(source: Path | str, **more: object) -> Model:
    spec = ModelSpec.model_validate({"source": str(source), **more})
    return resolve(spec, cache=Path("/nonexistent"))


def test_builtin_model_is_found_in_the_installed_package() -> None:
    model = resolve_source("builtin:smollm2-135m")

    assert (model.served_name, model.revision) == ("smollm2-135m", None)
    assert (model.shape.layers, model.shape.heads, model.shape.kv_heads) == (30, 9, 3)


def test_gguf_file_resolves_to_itself(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "Tiny.Q8_0.gguf")
    model = resolve_source(path)

    assert (model.path, model.served_name) == (path, "Tiny.Q8_0")


def test_relative_path_resolves_to_an_absolute_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_gguf(tmp_path / "m.gguf")
    monkeypatch.chdir(tmp_path)

    assert resolve_source("m.gguf").path == tmp_path / "m.gguf"
    assert resolve_source("./m.gguf").path == tmp_path / "m.gguf"


def test_folder_with_config_and_weights_resolves_to_itself(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "llama")
    model = resolve_source(folder)

    assert (model.path, model.served_name) == (folder, "llama")


def test_folder_with_one_gguf_resolves_to_that_file(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf")

    assert resolve_source(tmp_path).path == path


def test_folder_with_shards_resolves_to_the_first(tmp_path: Path) -> None:
    first = write_gguf(tmp_path / "m-00001-of-00002.gguf")
    write_gguf(tmp_path / "m-00002-of-00002.gguf")
    model = resolve_source(tmp_path)

    assert (model.path, model.served_name) == (first, "m")


def test_served_name_of_the_spec_wins(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf")

    assert resolve_source(tmp_path, served_name="llama").served_name == "llama"


def test_folder_with_several_ggufs_lists_them(tmp_path: Path) -> None:
    write_gguf(tmp_path / "a.gguf")
    write_gguf(tmp_path / "b.gguf")

    with pytest.raises(ConfigError, match=r'has 2 GGUF models.*"a\.gguf", "b\.gguf"'):
        resolve_source(tmp_path)


def test_folder_without_a_config_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()

    with pytest.raises(ModelError, match=r"has no config\.json, and no \.gguf file"):
        resolve_source(tmp_path)


def test_folder_without_weights_is_an_error_that_names_it(tmp_path: Path) -> None:
    (write_folder(tmp_path) / "model.safetensors").unlink()

    with pytest.raises(ModelError, match=r"has no \.safetensors file, and no \.gguf file"):
        resolve_source(tmp_path)


def test_missing_path_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f"there is no {tmp_path}/m.gguf"):
        resolve_source(tmp_path / "m.gguf")


def test_file_of_another_kind_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(bytes(100))

    with pytest.raises(ModelError, match=r"model\.bin is not a GGUF file"):
        resolve_source(path)


def test_revision_of_a_local_model_is_refused(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf")

    with pytest.raises(ConfigError, match="only a Hugging Face repository has revisions"):
        resolve_source(path, revision="main")
