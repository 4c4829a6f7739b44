from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from replicore.deploy.deployment import claim
from replicore.deploy.programs import ReplicaProgram
from replicore.deploy.state import Claims
from replicore.engines.engine import ReplicaPlan
from tests.integration.deploy.deployments import FakeEngine, deployment

PLAN = deployment().plan(0, port=8000)


@pytest.fixture(name="program")
def _program(tmp_path: Path) -> Iterator[ReplicaProgram]:
    async def drained(name: str) -> None:
        pass

    plan: ReplicaPlan = replace(PLAN, folder=tmp_path / "test" / "replicas" / "r0")
    with Claims(tmp_path) as claims:
        folder = claim(deployment(), claims)
    with closing(folder):
        yield ReplicaProgram(FakeEngine(), plan, folder, grace_s=1, drained=drained)


def test_each_start_finds_the_replica_s_folder_empty(program: ReplicaProgram) -> None:
    folder = program.plan.folder
    assert folder is not None
    program.job(1)
    (folder / "prometheus").mkdir()
    (folder / "prometheus" / "gauge.db").touch()
    program.job(2)

    assert list(folder.iterdir()) == []
