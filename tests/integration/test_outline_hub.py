"""Sizes of models that only a hub knows, from a hub on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest

from replicore.errors import ModelError
from replicore.models.outline import outline
from replicore.models.shape import Model
from replicore.spec import ModelSpec
from tests.integration.hub_server import HubServer, Repo, serve_hub
from tests.unit.models.model_files import LLAMA

CONFIG = json.dumps(LLAMA).encode()


@pytest.fixture(name="hub")
def _hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub, and an empty cache of this test's own; nothing of the user's is seen."""
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with serve_hub() as hub:
        hub.repos["org/llama"] = Repo({"config.json": CONFIG, "model.safetensors": bytes(5000)})
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub
    huggingface_hub.close_session()


def outline_of(source: str, **more: object) -> Model:
    return outline(ModelSpec.model_validate({"source": source, **more}))


def test_unknown_model_has_the_sizes_of_its_config_and_files(hub: HubServer) -> None:
    model = outline_of("org/llama")

    assert (model.shape.layers, model.shape.weight_bytes) == (2, 5000)
    assert (model.revision, model.path) == (
        hub.repos["org/llama"].commit,
        Path("/models/org/llama"),
    )
    assert model.sizes_from == "the hub's config.json"


def test_no_weights_are_downloaded_and_nothing_is_kept(hub: HubServer, tmp_path: Path) -> None:
    outline_of("org/llama")

    assert [seen.path.rpartition("/")[2] for seen in hub.bodies()] == ["config.json"]
    assert not (tmp_path / "hub").exists()


def test_model_of_the_catalogue_is_not_asked_for(hub: HubServer) -> None:
    outline_of("Qwen/Qwen3-8B")

    assert hub.seen == []


def test_revision_of_a_model_of_the_catalogue_is_asked_for(hub: HubServer) -> None:
    hub.repos["Qwen/Qwen3-8B"] = Repo({"config.json": CONFIG, "model.safetensors": bytes(7)})

    assert outline_of("Qwen/Qwen3-8B", revision="main").shape.weight_bytes == 7


def test_gated_model_that_is_not_known_needs_a_token(hub: HubServer) -> None:
    hub.repos["org/llama"].gated = True

    with pytest.raises(ModelError, match="gated"):
        outline_of("org/llama")


def test_repository_without_safetensors_is_refused(hub: HubServer) -> None:
    hub.repos["org/empty"] = Repo({"config.json": CONFIG})

    with pytest.raises(ModelError, match=r"org/empty has no \.safetensors file"):
        outline_of("org/empty")


def test_hub_is_not_asked_where_that_is_forbidden(hub: HubServer) -> None:
    with pytest.raises(ModelError, match="not in the catalogue"):
        outline_of("org/llama", offline=True)

    assert hub.seen == []
