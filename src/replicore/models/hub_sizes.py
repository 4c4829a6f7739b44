"""A hub model's sizes, from its ``config.json`` and its list of files; no weights are loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import huggingface_hub.constants

from replicore.errors import ModelError
from replicore.models.config_json import CONFIG, QUANTISATION, read_config_shape, weight_files
from replicore.models.hub_errors import endpoint, explain, hub_errors
from replicore.models.shape import ModelShape

_TIMEOUT_S = 10.0


def is_offline() -> bool:
    """Whether the environment forbids to ask the hub."""
    return huggingface_hub.constants.is_offline_mode()


def fetch_sizes(repo: str, revision: str | None) -> tuple[ModelShape, str | None]:
    """Return the shape and the commit of a repository with safetensors.

    Raises:
        ModelError: The hub does not have it or does not give it, or is not reached; or it has no
            safetensors.
    """
    api = huggingface_hub.HfApi(endpoint=endpoint())
    try:
        info = api.model_info(repo, revision=revision, files_metadata=True, timeout=_TIMEOUT_S)
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
        weights = weight_files(name for name in sizes if "/" not in name)
        if not weights:
            raise ModelError(f"{repo} has no .safetensors file")
        configs = [name for name in (CONFIG, QUANTISATION) if name == CONFIG or name in sizes]
        stored = sum(sizes[name] for name in weights)
        return _read_config(repo, info.sha, configs, stored), info.sha
    except hub_errors() as error:
        raise explain(error, repo, revision) from error


def _read_config(
    repo: str, commit: str | None, names: Sequence[str], stored_bytes: int
) -> ModelShape:
    """Read the configuration from a folder that is removed: in the hub's cache, it alone would look
    like a model without weights.
    """
    with TemporaryDirectory(prefix="replicore-") as folder:
        for name in names:
            huggingface_hub.hf_hub_download(
                repo,
                name,
                revision=commit,
                local_dir=folder,
                endpoint=endpoint(),
                etag_timeout=_TIMEOUT_S,
            )
        return read_config_shape(Path(folder), stored_bytes=stored_bytes)
