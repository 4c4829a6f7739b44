"""SIGKILL of a real engine under load."""

from __future__ import annotations

from pathlib import Path

import pytest

from replicore.bench.load.workload import Lengths, Workload
from tests.chaos.test_kill import came_back, load
from tests.integration.deployment import eventually, up

OPTIONS = ("--replicas", "2", "--tp", "1", "--set", "layout.max_model_len=256")
SMALL = Workload(input_tokens=Lengths(8, 0), output_tokens=Lengths(12, 0), seed=1)


@pytest.mark.engine
@pytest.mark.slow
def test_a_killed_llamacpp_comes_back_and_the_other_one_is_unharmed(tmp_path: Path) -> None:
    with up(*OPTIONS, "--set", "supervisor.backoff_initial=100ms", state=tmp_path / "s") as at:
        with load(at, SMALL) as results:
            came_back(at, lambda: at.replica(0).pid)
        eventually(at.is_idle)

    other = [record for record in results[0].records if record.replica == "r1"]
    assert other
    assert all(record.succeeded for record in other)
