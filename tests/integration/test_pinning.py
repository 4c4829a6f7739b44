"""Each replica runs on its own cores, and they all work."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest

from replicore.bench.load.workload import Lengths, Workload
from replicore.bench.runner import run_bench
from replicore.cores import CoreRange
from replicore.hardware.cpu import CpuHardware
from tests.integration.deployment import up

# CPU time that health checks alone do not take
NOTICEABLE_S = 0.2

pytestmark = [pytest.mark.engine, pytest.mark.slow]


def allowed_cores(pid: int) -> list[CoreRange]:
    """Return ``Cpus_allowed_list`` of every thread of a process."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    lines = [line for t in threads for line in (t / "status").read_text().splitlines()]
    return [CoreRange.parse(line.split()[1]) for line in lines if "Cpus_allowed_list" in line]


@pytest.mark.skipif(CpuHardware().detect().core_limit < 2, reason="needs two cores")
def test_replicas_keep_to_their_own_cores_and_all_work_under_load(tmp_path: Path) -> None:
    options = ("--replicas", "2", "--tp", "1", "--set", "layout.max_model_len=256")
    with up(*options, state=tmp_path / "state") as at:
        replicas = at.status().replicas
        pids = [replica.pid for replica in replicas if replica.pid is not None]
        before = [sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids]
        workload = Workload(input_tokens=Lengths(16, 0), output_tokens=Lengths(16, 0), seed=1)
        result = asyncio.run(run_bench([at.root_url], workload, requests=16, concurrency=8))
        after = [sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids]

        ranges = [CoreRange.parse(replica.cores) for replica in replicas]
        for pid, cores in zip(pids, ranges, strict=True):
            assert set(allowed_cores(pid)) == {cores}

    assert not ranges[0].overlaps(ranges[1])
    assert {record.replica for record in result.records} == {"r0", "r1"}
    busy = [end - start for start, end in zip(before, after, strict=True)]
    assert min(busy) > NOTICEABLE_S
