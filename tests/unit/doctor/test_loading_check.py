"""What is said of host memory while replicas load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from replicore.doctor.loading import check_loading
from tests.unit.doctor.cases import laid_out, only, place, problems


def test_replicas_that_fit_while_loading_are_told(tmp_path: Path) -> None:
    finding = only(check_loading(place(tmp_path), laid_out("cpu")), "loading")

    assert finding.message == "2 replicas take 40.0 GiB of 64.0 GiB"


def test_sharding_all_at_once_beyond_the_memory_is_an_error(tmp_path: Path) -> None:
    keys = {"engine.kind": "neuron", "engine.neuron.shard_weights": False}
    found = check_loading(place(tmp_path), laid_out("neuron", keys, replicas=8))
    finding = only(found, "loading")

    # 8 x (16 GiB + 704 MiB) of 64 GiB: three at a time
    assert "8 replicas at a time takes 134 GiB of host memory (16.7 GiB each)" in finding.message
    assert finding.fix == "supervisor.starts_together = 3"


@pytest.mark.parametrize(
    "keys", [{}, {"engine.neuron.shard_weights": False, "supervisor.starts_together": 1}]
)
def test_sharded_weights_or_a_turn_each_fit(tmp_path: Path, keys: dict[str, Any]) -> None:
    eight = laid_out("neuron", {"engine.kind": "neuron", **keys}, replicas=8)

    assert problems(check_loading(place(tmp_path), eight)) == []


def test_a_replica_that_never_fits_needs_sharding_elsewhere(tmp_path: Path) -> None:
    keys = {"engine.kind": "neuron", "engine.neuron.shard_weights": False}
    small = place(tmp_path, {"proc/meminfo": "MemAvailable: 8388608 kB\n"})
    finding = only(check_loading(small, laid_out("neuron", keys, replicas=1)), "loading")

    assert finding.fix.startswith("engine.neuron.shard_weights = true")
