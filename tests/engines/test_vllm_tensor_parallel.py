"""One vLLM replica of two cores, a tensor-parallel rank on each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.serving import TEXT, complete, vllm_up
from tests.integration.deployment import Up, family

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(1500)]


@pytest.fixture(name="at", scope="module")
def _at(python: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    state = tmp_path_factory.mktemp("tp") / "s"
    with vllm_up(python, model, replicas=1, tp=2, state=state) as at:
        yield at


def test_two_ranks_write_what_one_does(at: Up) -> None:
    assert complete(at)["choices"][0]["text"] == TEXT


def test_each_rank_has_a_core_of_its_own(at: Up) -> None:
    ranks = [process for process in family(at) if process.name().startswith("VLLM::Worker_TP")]

    assert [len(rank.cpu_affinity()) for rank in ranks] == [1, 1]
    assert ranks[0].cpu_affinity() != ranks[1].cpu_affinity()
