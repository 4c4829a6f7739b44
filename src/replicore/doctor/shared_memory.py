"""``/dev/shm``, by which the ranks of one replica talk."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from replicore.doctor.case import Case, Place
from replicore.doctor.reports import error, ok, readable, warning
from replicore.findings import Finding
from replicore.hardware.kernel_files import read_kernel_file
from replicore.units import MIB, MINUTE
from replicore.wording import pluralize

# What a container has where nobody says more.
_CONTAINER = 64 * MIB

# Of one replica with several ranks: vLLM's ring for messages between them (10 chunks of 24 MiB),
# and NCCL's or gloo's buffers. An allowance.
_PER_REPLICA = 512 * MIB

_FIX = "`--shm-size=8g` or `--ipc=host` for a container, `mount -o remount,size=8g /dev/shm` else"

# A segment has its name before, and for a while after, anybody has it open.
_SETTLED_S = 5 * MINUTE

# What Python's multiprocessing, torch and NCCL call their segments.
_SEGMENT = re.compile(r"(psm_|torch_|nccl-|sem\.mp-|sem\.loky|vllm)")


def check_shared_memory(
    place: Place, case: Case, *, clock: Callable[[], float] = time.time
) -> Iterator[Finding]:
    """Compare the size with what the replicas need; warn of segments that nobody uses any more."""
    folder = place.root / "dev/shm"
    if not folder.is_dir():
        yield warning("shared-memory", "there is no /dev/shm", "`mount -t tmpfs tmpfs /dev/shm`")
        return
    space = os.statvfs(folder)
    size, free = space.f_blocks * space.f_frsize, space.f_bavail * space.f_frsize
    needed = _needed(case)
    if free < needed:
        yield error(
            "shared-memory",
            f"{readable(free)} are free in /dev/shm, and the ranks of "
            f"{pluralize(case.replicas, 'replica')} take up to {readable(needed)}",
            _FIX,
        )
    elif size <= _CONTAINER:
        text = f"/dev/shm has {readable(size)}, too little for an engine of several processes"
        yield warning("shared-memory", text, _FIX)
    else:
        yield ok("shared-memory", f"{readable(free)} of {readable(size)} are free in /dev/shm")
    yield from _left_behind(place, folder, clock() - _SETTLED_S)


def _needed(case: Case) -> int:
    """Return what vLLM's ranks take; engines of one process take nothing."""
    if case.deployment is None or case.spec.engine.kind not in ("vllm", "neuron"):
        return 0
    return case.replicas * _PER_REPLICA if case.deployment.layout.tp > 1 else 0


def _left_behind(place: Place, folder: Path, before: float) -> Iterator[Finding]:
    segments = dict(_segments(folder, before))
    unused = segments.keys() - _in_use(place) if segments else set()
    size = sum(segments[name] for name in unused)
    if size < MIB:
        return
    yield warning(
        "shared-memory",
        f"{readable(size)} of /dev/shm are taken by {pluralize(len(unused), 'segment')} that no "
        "process seen from here uses: those that made them were killed",
        f"`cd /dev/shm && rm {' '.join(sorted(unused)[:8])}{' ...' if len(unused) > 8 else ''}`",
    )


def _segments(folder: Path, before: float) -> Iterator[tuple[str, int]]:
    """Yield name and size of this user's segments that are older than ``before``."""
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            found = path.stat()
            is_ours = _SEGMENT.match(path.name) and found.st_uid == os.getuid()
            if is_ours and found.st_mtime < before:
                yield path.name, found.st_size


def _in_use(place: Place) -> set[str]:
    """Return the names of segments that a process has mapped or open."""
    names: set[str] = set()
    for process in (place.root / "proc").glob("[0-9]*"):
        maps = read_kernel_file(process / "maps") or ""
        names.update(re.findall(r"/dev/shm/(\S+)", maps))
        with suppress(OSError):
            links = [os.readlink(link) for link in (process / "fd").iterdir()]
            names.update(link.removeprefix("/dev/shm/") for link in links if "/dev/shm/" in link)
    return names
