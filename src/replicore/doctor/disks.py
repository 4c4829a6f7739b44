"""Room on the disks, and whether they are of a kind that state, models and artefacts can be on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from replicore.deploy.provision import store_of
from replicore.doctor.case import Case, Place
from replicore.doctor.reports import error, ok, readable, warning
from replicore.findings import Finding
from replicore.hardware.kernel_files import read_kernel_file
from replicore.units import GIB

_LITTLE = 2 * GIB
_NETWORK = ("nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "lustre", "ceph", "9p")
_MEMORY = ("tmpfs", "ramfs")


def check_disks(place: Place, case: Case) -> Iterator[Finding]:
    """Tell the free space of each disk that is used, and what will be written there."""
    folders = {
        "state": place.state,
        "cache": place.cache,
        "Hugging Face cache": hub_cache(place.environ),
    }
    yield from _free_space(folders)
    yield from _kinds(place, folders)
    if case.deployment is not None:
        yield from _download(place, case)
        yield from _artefact(case)


def hub_cache(environ: Mapping[str, str]) -> Path:
    """Return where the hub's own library keeps models.

    Source: huggingface_hub, environment variables
    """
    if chosen := environ.get("HF_HUB_CACHE"):
        return Path(chosen).expanduser()
    caches = Path(environ.get("XDG_CACHE_HOME") or "~/.cache")
    return Path(environ.get("HF_HOME") or caches / "huggingface").expanduser() / "hub"


def _free_space(folders: Mapping[str, Path]) -> Iterator[Finding]:
    by_disk: dict[int, tuple[Path, list[str]]] = {}
    for name, folder in folders.items():
        existing = _existing(folder)
        by_disk.setdefault(existing.stat().st_dev, (existing, []))[1].append(name)
    for existing, names in by_disk.values():
        free, used_for = _free(existing), ", ".join(names)
        if free < _LITTLE:
            text = f"{readable(free)} are free on the disk of {existing} ({used_for})"
            yield warning("disk", text, "`du -xh --max-depth=2` shows what takes it")
        else:
            yield ok("disk", f"{readable(free)} are free for {used_for}")


def _kinds(place: Place, folders: Mapping[str, Path]) -> Iterator[Finding]:
    mounts = _mounts(place)
    state = _kind(mounts, folders["state"])
    if state in _NETWORK:
        yield warning(
            "disk",
            f"the state folder {folders['state']} is on {state}, where locks and Unix sockets do "
            "not work on every server",
            "REPLICORE_STATE_DIR names another folder",
        )
    models = _kind(mounts, folders["Hugging Face cache"])
    if models in _MEMORY:
        yield warning(
            "disk",
            f"models are kept on {models}, which is memory: each takes it twice",
            "HF_HOME names another folder",
        )


def _download(place: Place, case: Case) -> Iterator[Finding]:
    model = case.deployment.model if case.deployment is not None else None
    if model is None or model.sizes_from is None or model.path.exists():
        return
    folder = hub_cache(place.environ)
    yield from _compare(folder, model.shape.weight_bytes, f"download {model.source}", "HF_HOME")


def _artefact(case: Case) -> Iterator[Finding]:
    """Weights that are sharded when compiling are as large as they are now."""
    spec, deployment = case.spec, case.deployment
    if deployment is None or spec.engine.kind != "neuron" or not spec.engine.neuron.shard_weights:
        return
    needed = deployment.model.shape.weight_bytes
    key = "engine.neuron.artefacts"
    yield from _compare(store_of(spec).root, needed, "compile, with sharded weights", key)


def _compare(folder: Path, needed: int, what: str, elsewhere: str) -> Iterator[Finding]:
    free = _free(_existing(folder))
    if free < needed:
        yield error(
            "disk",
            f"{readable(free)} are free for {folder}, and to {what} takes {readable(needed)}",
            f"free some space; {elsewhere} names another folder",
        )
    else:
        yield ok("disk", f"{readable(needed)} to {what}: {readable(free)} are free")


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def _free(folder: Path) -> int:
    space = os.statvfs(folder)
    return space.f_bavail * space.f_frsize


def _mounts(place: Place) -> dict[Path, str]:
    """Return the file system's kind by mount point. Source: proc_pid_mountinfo(5)"""
    mounts = {}
    for line in (read_kernel_file(place.root / "proc/self/mountinfo") or "").splitlines():
        fields, _, rest = line.partition(" - ")
        mounts[Path(fields.split(" ")[4])] = rest.split(" ")[0]
    return mounts


def _kind(mounts: Mapping[Path, str], folder: Path) -> str:
    path = _existing(folder).resolve()
    return next((mounts[above] for above in (path, *path.parents) if above in mounts), "")
