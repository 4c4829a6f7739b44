"""Models of the Hugging Face hub, kept in the cache that all its tools share."""

from __future__ import annotations

import glob
import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import huggingface_hub.constants

from replicore.errors import ModelError
from replicore.models.files import ModelFiles, choose_files
from replicore.models.hub_errors import (
    endpoint,
    explain,
    hub_errors,
    is_unreachable,
    not_cached,
)
from replicore.models.hub_progress import ByteMeter
from replicore.models.progress import Progress
from replicore.models.source import HubSource

_LIST_TIMEOUT_S = 30.0

logger = logging.getLogger(__name__)


def fetch_from_hub(
    source: HubSource, *, revision: str | None, offline: bool, progress: Progress
) -> tuple[Path, str]:
    """Return the model's local path and its commit; downloads what is not there yet.

    A connection that breaks is continued where it broke. A download that was given up continues
    with the files that it had not finished.

    Raises:
        ConfigError: The repository has several GGUF models, or none that fits.
        ModelError: The hub does not have it or does not give it, or is not reached.
    """
    if offline or huggingface_hub.constants.is_offline_mode():
        return _from_cache(source, revision)
    try:
        return _download(source, revision, progress)
    except hub_errors() as error:
        if is_unreachable(error) and (cached := _try_cache(source, revision)) is not None:
            logger.warning("%s cannot be reached; using the cached %s", endpoint(), source.repo)
            return cached
        raise explain(error, source.repo, revision) from error


def _download(source: HubSource, revision: str | None, progress: Progress) -> tuple[Path, str]:
    api = huggingface_hub.HfApi(endpoint=endpoint())
    info = api.model_info(
        source.repo, revision=revision, files_metadata=True, timeout=_LIST_TIMEOUT_S
    )
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    files = choose_files(sizes, source.pick, where=source.repo)
    missing = [name for name in files.names if not _is_cached(source.repo, name, info.sha)]
    meter = ByteMeter(progress)
    if missing:
        progress.start(f"downloading {source.repo}", sum(sizes[name] for name in missing))
    try:
        folder = _download_snapshot(source.repo, revision, files.names, meter)
    finally:
        if missing:
            progress.done()
    return _located(folder, files)


def _download_snapshot(
    repo: str, revision: str | None, names: Iterable[str], meter: ByteMeter
) -> Path:
    """Download in another thread, so that Ctrl-C ends it at the next chunk.

    In this one, huggingface_hub would first wait for the whole of every file that it has begun.
    """

    def work() -> str:
        folder: str = huggingface_hub.snapshot_download(  # type: ignore[call-overload]
            repo,
            revision=revision,
            allow_patterns=[glob.escape(name) for name in names],
            endpoint=endpoint(),
            tqdm_class=meter.bar,  # any callable will do, whatever the annotation says
        )
        return folder

    with ThreadPoolExecutor(max_workers=1) as executor:
        future = executor.submit(work)
        try:
            return Path(future.result())
        except KeyboardInterrupt:
            meter.stop()
            raise


def _is_cached(repo: str, name: str, commit: str | None) -> bool:
    found = huggingface_hub.try_to_load_from_cache(repo, name, revision=commit)
    return isinstance(found, str)


def _try_cache(source: HubSource, revision: str | None) -> tuple[Path, str] | None:
    try:
        return _from_cache(source, revision)
    except ModelError:
        return None


def _from_cache(source: HubSource, revision: str | None) -> tuple[Path, str]:
    if not _has_folder(source.repo):
        raise not_cached(source.repo, revision)
    try:
        folder = _cached_snapshot(source.repo, revision, ())
        files = choose_files(_cached_names(source.repo, folder), source.pick, where=source.repo)
        _cached_snapshot(source.repo, revision, files.names)
    except hub_errors() as error:
        raise not_cached(source.repo, revision) from error
    return _located(folder, files)


def _has_folder(repo: str) -> bool:
    """Whether the cache has anything of a repository.

    huggingface_hub would say so too, but takes half a second to import what it does that with.
    """
    cache = Path(huggingface_hub.constants.HF_HUB_CACHE)
    return (cache / f"models--{repo.replace('/', '--')}").is_dir()


def _cached_snapshot(repo: str, revision: str | None, names: Iterable[str]) -> Path:
    """Return the snapshot's folder.

    Raises:
        OSError: There is none, or one of ``names`` is not in it.
    """
    folder = huggingface_hub.snapshot_download(
        repo,
        revision=revision,
        allow_patterns=[glob.escape(name) for name in names],
        local_files_only=True,
    )
    return Path(folder)


def _cached_names(repo: str, folder: Path) -> list[str]:
    """Return the repository's files, or those in the cache where another tool filled it."""
    try:
        tree = huggingface_hub.get_cached_repo_tree(repo, revision=folder.name)
    except huggingface_hub.errors.CachedRepoTreeNotFoundError:
        return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return [file.path for file in tree]


def _located(folder: Path, files: ModelFiles) -> tuple[Path, str]:
    """A snapshot's folder is named after its commit."""
    return (folder if files.entry is None else folder / files.entry), folder.name
