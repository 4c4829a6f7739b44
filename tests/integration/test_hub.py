"""Downloads with the real huggingface_hub, from a hub on loopback."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import huggingface_hub.constants
import pytest

from replicore.errors import ConfigError, ModelError
from replicore.models.resolve import resolve
from replicore.models.shape import Model
from replicore.spec import ModelSpec
from tests.integration.hub_server import HubServer, Repo, serve_hub
from tests.unit.models.model_files import LLAMA, gguf_bytes

TINY = "org/tiny"


@dataclass
class RecordedProgress:
    """Keeps what it was told; ``on_advance`` runs inside the download."""

    events: list[str] = field(default_factory=list)
    total: int | None = None
    received: int = 0

    def start(self, description: str, total_bytes: int | None) -> None:
        self.events.append(description)
        self.total = total_bytes

    def advance(self, n: int) -> None:
        self.received += n

    def done(self) -> None:
        self.events.append("done")


@pytest.fixture(name="hub")
def _hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub, and an empty cache of this test's own; nothing of the user's is seen."""
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    # What is one chunk for huggingface_hub; in production it is 10 MB.
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1024)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with serve_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub
    huggingface_hub.close_session()


@pytest.fixture(name="tiny")
def _tiny(hub: HubServer, tmp_path: Path) -> Repo:
    """A repository with three GGUF models and a picture."""
    content = gguf_bytes(tmp_path)
    names = ("tiny-Q4_K_M.gguf", "tiny-Q8_0.gguf", "tiny-F16.gguf")
    hub.repos[TINY] = Repo({"picture.png": b"png", **dict.fromkeys(names, content)})
    return hub.repos[TINY]


@pytest.fixture(name="llama")
def _llama(hub: HubServer) -> Repo:
    """A repository in the Hugging Face layout, with much that no engine needs."""
    hub.repos["org/llama"] = Repo(
        {
            "config.json": json.dumps(LLAMA).encode(),
            "tokenizer.json": b"{}",
            "model.safetensors": bytes(5000),
            "consolidated.safetensors": bytes(5000),
            "pytorch_model.bin": bytes(5000),
            "original/params.json": b"{}",
            "README.md": b"# Llama",
        }
    )
    return hub.repos["org/llama"]


def resolve_hub(source: str, progress: RecordedProgress | None = None, /, **more: object) -> Model:
    spec = ModelSpec.model_validate({"source": source, **more})
    return resolve(spec, cache=Path("/nonexistent"), progress=progress)


def failure(source: str, **more: object) -> ModelError:
    with pytest.raises(ModelError) as caught:
        resolve_hub(source, **more)
    return caught.value


def test_gguf_of_a_repository_is_downloaded_alone(hub: HubServer, tiny: Repo) -> None:
    model = resolve_hub(f"{TINY}:Q4_K_M")

    assert model.path.is_absolute()
    assert model.path.read_bytes() == tiny.files["tiny-Q4_K_M.gguf"]
    assert {seen.path for seen in hub.bodies()} == {f"/cdn/{TINY}/tiny-Q4_K_M.gguf"}


def test_hub_model_is_served_under_its_repository_name(tiny: Repo) -> None:
    model = resolve_hub(f"{TINY}:tiny-Q8_0.gguf")

    assert (model.served_name, model.revision) == (TINY, tiny.commit)
    assert model.shape.layers == 2


def test_folder_model_has_only_the_files_that_an_engine_needs(llama: Repo) -> None:
    model = resolve_hub("org/llama")

    names = sorted(path.name for path in model.path.iterdir())
    assert names == ["config.json", "model.safetensors", "tokenizer.json"]
    assert model.shape.weight_bytes == 5000


def test_several_gguf_models_without_a_pick_are_listed(hub: HubServer, tiny: Repo) -> None:
    with pytest.raises(ConfigError, match=r"has 3 GGUF models.*tiny-Q4_K_M\.gguf"):
        resolve_hub(TINY)

    assert hub.bodies() == []


def test_second_start_downloads_nothing(hub: HubServer, llama: Repo) -> None:
    first = resolve_hub("org/llama")
    hub.seen.clear()
    progress = RecordedProgress()

    assert resolve_hub("org/llama", progress) == first
    assert hub.bodies() == []
    assert progress.events == []


def test_progress_adds_up_to_the_bytes_that_are_missing(llama: Repo) -> None:
    progress = RecordedProgress()
    resolve_hub("org/llama", progress)

    config = len(llama.files["config.json"])
    assert progress.events == ["downloading org/llama", "done"]
    assert progress.received == progress.total == 5000 + config + len(b"{}")


def test_download_writes_nothing_to_the_terminal(
    llama: Repo, capfd: pytest.CaptureFixture[str]
) -> None:
    resolve_hub("org/llama")

    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_connection_cut_midway_continues_where_it_broke(hub: HubServer, tiny: Repo) -> None:
    content = tiny.files["tiny-Q8_0.gguf"]
    hub.cut_after = [3000]
    progress = RecordedProgress()
    model = resolve_hub(f"{TINY}:Q8_0", progress)

    ranges = [seen.range for seen in hub.bodies()]
    digests = [hashlib.sha256(data).digest() for data in (model.path.read_bytes(), content)]
    # Only whole chunks of 1024 bytes were kept of the first 3000.
    assert ranges == [None, "bytes=2048-"]
    assert digests[0] == digests[1]
    assert progress.received == len(content)


def test_download_that_failed_keeps_its_finished_files(hub: HubServer, llama: Repo) -> None:
    hub.failing = {"model.safetensors"}
    assert "answered with status 500" in failure("org/llama").message

    finished = {seen.path for seen in hub.bodies() if "model.safetensors" not in seen.path}
    hub.failing = set()
    hub.seen.clear()
    assert resolve_hub("org/llama").shape.weight_bytes == 5000
    assert finished.isdisjoint(seen.path for seen in hub.bodies())


@pytest.fixture(name="interruptible")
def _interruptible() -> Iterator[None]:
    """Ctrl-C works, also where the tests run in the background of a shell, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_interrupt_during_a_download_ends_it_and_its_progress(hub: HubServer, tiny: Repo) -> None:
    hub.hold_after = 2048

    class Interrupting(RecordedProgress):
        def advance(self, n: int) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            hub.release.set()

    progress = Interrupting()
    with pytest.raises(KeyboardInterrupt):
        resolve_hub(f"{TINY}:Q8_0", progress)

    assert progress.events[-1] == "done"


def test_revision_is_a_branch_or_a_commit(tiny: Repo) -> None:
    tiny.branch = "v2"

    assert resolve_hub(f"{TINY}:Q8_0", revision="v2").revision == tiny.commit
    assert resolve_hub(f"{TINY}:Q8_0", revision=tiny.commit).revision == tiny.commit


def test_unknown_revision_is_an_error_that_names_it(tiny: Repo) -> None:
    assert failure(f"{TINY}:Q8_0", revision="v9").message == f'{TINY} has no revision "v9"'


def test_unknown_repository_is_an_error_that_tells_of_private_ones(hub: HubServer) -> None:
    error = failure("org/nowhere")

    assert error.message == f"{hub.url} has no model org/nowhere, or it is private"
    assert "HF_TOKEN" in (error.hint or "")


def test_gated_repository_is_an_error_that_tells_where_to_agree(hub: HubServer, tiny: Repo) -> None:
    tiny.gated = True
    error = failure(f"{TINY}:Q8_0")

    assert "org/tiny is gated" in error.message
    assert f"{hub.url}/{TINY}" in (error.hint or "")
    assert "HF_TOKEN" in (error.hint or "")


def test_token_of_the_environment_opens_gated_and_private_repositories(
    hub: HubServer, tiny: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.gated = tiny.private = True
    monkeypatch.setenv("HF_TOKEN", hub.token)

    assert resolve_hub(f"{TINY}:Q8_0").path.is_file()


def test_wrong_token_is_an_error_that_names_the_variable(
    tiny: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    error = failure(f"{TINY}:Q8_0")

    assert "refuses access to org/tiny with status 401" in error.message
    assert "HF_TOKEN" in (error.hint or "")


def test_repository_without_a_model_is_an_error(hub: HubServer) -> None:
    hub.repos["org/data"] = Repo({"train.csv": b"1,2"})

    assert failure("org/data").message == "org/data has no config.json, and no .gguf file"


def test_unreachable_hub_is_an_error_that_names_it(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        monkeypatch.setenv("HF_ENDPOINT", closed)
        error = failure("org/llama")

    assert f"cannot be downloaded from {closed}" in error.message
    assert "check the network" in (error.hint or "")


def test_unreachable_hub_does_not_matter_once_the_model_is_cached(
    llama: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = resolve_hub("org/llama")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")

    assert resolve_hub("org/llama") == first


def test_failing_hub_does_not_matter_once_the_model_is_cached(hub: HubServer, llama: Repo) -> None:
    first = resolve_hub("org/llama")
    hub.status = 500

    assert resolve_hub("org/llama") == first


def test_failing_hub_is_an_error_with_its_status(hub: HubServer) -> None:
    hub.status = 500

    assert "answered with status 500" in failure("org/llama").message


@pytest.mark.parametrize("how", ["spec", "environment"])
def test_offline_uses_the_cache_and_asks_nobody(
    hub: HubServer, tiny: Repo, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    first = resolve_hub(f"{TINY}:Q8_0")
    hub.seen.clear()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", how == "environment")

    assert resolve_hub(f"{TINY}:Q8_0", offline=how == "spec") == first
    assert hub.seen == []


def test_offline_without_the_model_is_an_error_that_names_the_cache(
    hub: HubServer, tmp_path: Path
) -> None:
    error = failure("org/llama", offline=True)

    assert f"offline, and org/llama is not completely in {tmp_path / 'hub'}" in error.message
    assert hub.seen == []


def test_offline_with_another_quant_in_the_cache_is_an_error(tiny: Repo) -> None:
    resolve_hub(f"{TINY}:Q8_0")

    assert "is not completely in" in failure(f"{TINY}:Q4_K_M", offline=True).message


def test_offline_reads_a_cache_that_another_tool_filled(hub: HubServer, tiny: Repo) -> None:
    """hf_hub_download leaves no list of the repository's files."""
    path = huggingface_hub.hf_hub_download(TINY, "tiny-Q8_0.gguf", endpoint=hub.url)

    assert resolve_hub(TINY, offline=True).path == Path(path)
