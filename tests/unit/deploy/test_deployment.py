from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from replicore.deploy.deployment import Deployment, Prepared, lay_out_and_claim, prepare
from replicore.errors import ConfigError, DeploymentError, InfeasiblePlan
from replicore.spec import load_spec
from tests.integration.deploy.deployments import FakeEngine, deployment

Up = Callable[..., Deployment]


def prepared(name: str, *, kind: str = "cpu", **layout: str) -> Prepared:
    """Return a deployment on a pretend machine of eight cores, before its layout is chosen."""
    overrides = {f"layout.{key}": value for key, value in layout.items()}
    fake = deployment(kind=kind)
    return Prepared(
        spec=load_spec(None, environ={}, overrides={"name": name, **overrides}),
        engine=FakeEngine(),
        machine=fake.machine,
        model=fake.model,
        legal_tp=(1, 2, 4),
    )


@pytest.fixture(name="up")
def _up(tmp_path: Path) -> Iterator[Up]:
    """Claims like ``up`` does; what was claimed is held until the end of the test."""
    with ExitStack() as held:

        def claim(name: str, **options: str) -> Deployment:
            chosen, folder = lay_out_and_claim(prepared(name, **options), tmp_path)
            held.enter_context(closing(folder))
            return chosen

        yield claim


def test_automatic_layout_takes_the_cores_that_others_left(up: Up) -> None:
    up("one", replicas="2", tp="2")

    assert str(up("two").claimed_cores) == "4-7"


def test_fixed_layout_that_does_not_fit_beside_others_names_them(up: Up) -> None:
    up("one", replicas="3", tp="2")
    with pytest.raises(DeploymentError, match='held by the deployment "one"'):
        up("two", replicas="2", tp="2")


def test_layout_that_never_fits_does_not_blame_others(up: Up) -> None:
    up("one", replicas="1", tp="1")
    with pytest.raises(InfeasiblePlan):
        up("two", replicas="9", tp="1")


def test_simulated_deployments_do_not_share_their_cores_out(up: Up) -> None:
    first, second = (up(name, kind="sim", replicas="4", tp="2") for name in ("one", "two"))

    assert first.layout.ranges == second.layout.ranges


def test_deployments_claimed_at_the_same_time_are_disjoint(up: Up) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda name: up(name, replicas="1", tp="1"), "abcdefgh"))

    assert sorted(core for one in made for core in one.claimed_cores) == list(range(8))


def test_remote_engine_cannot_be_deployed_and_the_hint_says_what_to_do() -> None:
    remote = {"engine.kind": "remote", "engine.remote.endpoints": '["http://127.0.0.1:1"]'}
    with pytest.raises(ConfigError) as caught:
        prepare(load_spec(None, environ={}, overrides=remote))

    assert "gateway --endpoint" in (caught.value.hint or "")
