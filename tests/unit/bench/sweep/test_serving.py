"""Which layouts the machine holds, and what is deployed for one; nothing is started here."""

from __future__ import annotations

from pathlib import Path

import pytest

from replicore.bench.sweep.plan import SweptLayout
from replicore.bench.sweep.serving import Serving, swept_spec
from replicore.deploy.deployment import prepare
from replicore.errors import InfeasiblePlan
from replicore.spec import Spec, load_spec


def spec(**keys: object) -> Spec:
    given = {"engine.kind": "sim", "engine.sim.cores": "4", "name": "test"}
    more = {key.replace("__", "."): value for key, value in keys.items()}
    return load_spec(None, environ={}, overrides={**given, **more})


def serving(root: Path, **keys: object) -> Serving:
    return Serving(prepare(swept_spec(spec(**keys))), root)


def test_candidates_use_all_cores(tmp_path: Path) -> None:
    assert [str(one) for one in serving(tmp_path).candidates()] == ["4x1", "2x2", "1x4"]


def test_candidates_use_all_cores_where_the_workload_has_one_user(tmp_path: Path) -> None:
    # a model of 9 heads, so that tp 1 alone is legal
    keys = {"engine__sim__profile": "cpu", "workload__concurrency": "1"}

    assert [str(one) for one in serving(tmp_path, **keys).candidates()] == ["4x1"]


def test_candidates_are_within_the_cores_of_the_spec(tmp_path: Path) -> None:
    found = serving(tmp_path, layout__cores="0-1").candidates()

    assert [str(one) for one in found] == ["2x1", "1x2"]


def test_layout_that_fits_is_accepted_and_one_that_does_not_says_what_would(tmp_path: Path) -> None:
    on_four = serving(tmp_path)
    on_four.check(SweptLayout(2, 2))

    with pytest.raises(InfeasiblePlan, match="these fit: "):
        on_four.check(SweptLayout(3, 2))


def test_swept_deployment_has_a_name_of_its_own_and_a_private_door() -> None:
    swept = swept_spec(spec(gateway__port="8000", gateway__host="0.0.0.0", gateway__insecure=True))

    assert (swept.name, swept.gateway.host, swept.gateway.port) == ("sweep-test", "127.0.0.1", 0)
    assert swept.gateway.insecure is False


def test_swept_deployment_keeps_what_routing_depends_on() -> None:
    assert swept_spec(spec(gateway__policy="round_robin")).gateway.policy == "round_robin"


def test_long_name_still_names_a_folder() -> None:
    assert len(swept_spec(spec(name="n" * 63)).name) == 63
