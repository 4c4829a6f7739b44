"""Limits of this process that a deployment inherits: files, processes, locked memory."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator

from replicore.doctor.case import Case, Place
from replicore.doctor.reports import error, ok, readable, warning
from replicore.findings import Finding
from replicore.hardware.kernel_files import read_kernel_file
from replicore.wording import pluralize

# Of a gateway worker: its log, sockets, event loop; each request has a client and an engine.
_OWN_FILES = 256
_FILES_PER_REQUEST = 2

# Threads of one engine besides those of its slots: llama.cpp's server has 128, vLLM's ranks more.
_THREADS = 500

Limit = Callable[[int], tuple[int, int]]


def check_limits(
    place: Place, case: Case, *, limit: Limit = resource.getrlimit
) -> Iterator[Finding]:
    """Compare the limits with what the gateway and the engines need."""
    yield from _files(case, limit(resource.RLIMIT_NOFILE))
    yield from _processes(place, case, limit(resource.RLIMIT_NPROC))
    yield from _locked_memory(case, limit(resource.RLIMIT_MEMLOCK))


def _files(case: Case, limits: tuple[int, int]) -> Iterator[Finding]:
    _, most = limits
    requests = case.slots + case.spec.gateway.max_queue
    needed = _OWN_FILES + _FILES_PER_REQUEST * requests
    if most != resource.RLIM_INFINITY and most < needed:
        yield warning(
            "open-files",
            f"at most {most} files may be open, and a gateway that holds {requests} requests "
            f"(slots and gateway.max_queue) needs {needed}",
            f"`ulimit -Hn {needed}` as root, `LimitNOFILE={needed}` in a systemd unit, or a lower "
            "gateway.max_queue",
        )
        return
    yield ok("open-files", f"{_number(most)} files may be open, {needed} are needed")


def _processes(place: Place, case: Case, limits: tuple[int, int]) -> Iterator[Finding]:
    soft, _ = limits
    needed = case.replicas * _THREADS
    left = _left_in_group(place)
    most = min(
        (n for n in (left, soft) if n is not None and n != resource.RLIM_INFINITY), default=None
    )
    if most is not None and most < needed:
        yield warning(
            "processes",
            f"at most {most} processes and threads may run, and "
            f"{pluralize(case.replicas, 'replica')} can take {needed}",
            "raise `ulimit -u`, `TasksMax=` of a systemd unit, or `--pids-limit` of a container",
        )
        return
    allowed = "any number of" if most is None else str(most)
    yield ok("processes", f"{allowed} processes and threads may run")


def _left_in_group(place: Place) -> int | None:
    folder = place.root / "sys/fs/cgroup"
    for maximum, current in (("pids.max", "pids.current"), ("pids/pids.max", "pids/pids.current")):
        text = read_kernel_file(folder / maximum)
        if text and text != "max":
            return int(text) - int(read_kernel_file(folder / current) or 0)
    return None


def _locked_memory(case: Case, limits: tuple[int, int]) -> Iterator[Finding]:
    _, most = limits
    wants = any("mlock" in arg for arg in case.spec.engine.args)
    if wants and case.deployment is not None and most != resource.RLIM_INFINITY:
        needed = case.deployment.model.shape.weight_bytes
        if most < needed:
            yield error(
                "locked-memory",
                f"engine.args: --use-mlock locks {readable(needed)}, but only {readable(most)} may "
                "be locked",
                "`ulimit -l unlimited`, `LimitMEMLOCK=infinity` in a systemd unit, or leave it out",
                key="engine.args",
            )
            return
    amount = "any amount" if most == resource.RLIM_INFINITY else readable(most)
    yield ok("locked-memory", f"{amount} of memory may be locked")


def _number(limit: int) -> str:
    return "any number of" if limit == resource.RLIM_INFINITY else str(limit)
