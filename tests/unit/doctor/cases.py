"""Computers made of files, and deployments made of numbers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from replicore.cores import CoreRange
from replicore.deploy.deployment import Deployment
from replicore.deploy.layout import Layout
from replicore.doctor.case import Case, Place
from replicore.engines.engine import Engine
from replicore.findings import Finding
from replicore.hardware.machine import Machine, NumaNode
from replicore.models.shape import Model, ModelShape
from replicore.spec import load_spec

GIB = 2**30

BARE = {
    "proc/meminfo": "MemAvailable: 67108864 kB\n",  # 64 GiB
    "proc/cpuinfo": "model name\t: AMD EPYC 9R14\n",
    "proc/loadavg": "0.10 0.10 0.10 1/100 1000\n",
    "sys/devices/system/cpu/online": "0-7\n",
    "sys/devices/system/node/node0/cpulist": "0-7\n",
}

SHAPE = ModelShape(
    architecture="llama",
    layers=32,
    hidden=4096,
    heads=32,
    kv_heads=8,
    head_dim=128,
    vocab=128256,
    max_model_len=8192,
    weight_bytes=16 * GIB,
)


class FakeEngine:
    """An engine whose replicas take 20 GiB each."""

    starts_together: int | None = None

    def memory_bytes(self, shape: ModelShape, **sizes: int) -> int:
        return 20 * GIB


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def place(
    folder: Path,
    files: Mapping[str, str] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
) -> Place:
    """Return a computer with these files, below ``folder``."""
    root = folder / "root"
    write(root, {**BARE, **(files or {})})
    (root / "dev/shm").mkdir(parents=True, exist_ok=True)
    return Place(root=root, environ=environ or {}, state=folder / "state", cache=folder / "cache")


def case(keys: Mapping[str, Any] | None = None, *, deployment: Deployment | None = None) -> Case:
    """Return the case of a spec with these keys, by dotted name."""
    spec = load_spec(None, environ={}, overrides=keys or {})
    return Case(spec=spec, given=bool(keys), deployment=deployment)


def laid_out(
    kind: str, keys: Mapping[str, Any] | None = None, *, replicas: int = 2, tp: int = 4
) -> Case:
    """Return the case of a deployment of 16 GiB of weights on a machine of this kind."""
    without = case(keys)
    cores = CoreRange.of(range(replicas * tp))
    deployment = Deployment(
        name="llama",
        spec=without.spec,
        engine=cast("Engine", FakeEngine()),
        machine=Machine(
            kind=kind,
            name="trn2.48xlarge",
            cores=cores,
            core_limit=len(cores),
            numa=(NumaNode(index=0, cores=cores),),
            memory_bytes=64 * GIB,
        ),
        model=Model(source="org/llama", served_name="llama", path=Path("/nowhere"), shape=SHAPE),
        layout=Layout(
            ranges=cores.split(tp), batch_size=4, max_model_len=4096, reason="as the spec says"
        ),
    )
    return Case(spec=without.spec, given=True, deployment=deployment)


def only(findings: Iterable[Finding], check: str) -> Finding:
    """Return the one finding of a check."""
    (finding,) = [finding for finding in findings if finding.check == check]
    return finding


def problems(findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.level != "ok"]


def space(monkeypatch: pytest.MonkeyPatch, *, size: int, free: int) -> None:
    """Make every file system have this size, in bytes."""
    block = 4096
    room = [block, block, size // block, free // block, free // block, 0, 0, 0, 0, 255]
    monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result(room))
