from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from replicore.deploy.deployment import (
    Deployment,
    Prepared,
    check_here,
    lay_out,
    lay_out_and_claim,
    prepare,
)
from replicore.errors import ConfigError, DeploymentError, InfeasiblePlan
from replicore.hardware.cuda_planned import planned_devices
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


def test_outline_asks_the_engine_s_environment_nothing_and_reads_no_weights() -> None:
    elsewhere = {
        "model.source": "meta-llama/Llama-3.3-70B-Instruct",
        "engine.kind": "neuron",
        "engine.python": "/no/such/python",
        "engine.neuron.instance": "trn2.48xlarge",
        "layout.tp": "32",
        "gateway.api_keys_file": "/no/such/keys.txt",
    }
    found = prepare(load_spec(None, environ={}, overrides=elsewhere), outline=True)

    assert found.machine.kind == "neuron"
    assert found.model.shape.weight_bytes > 140e9
    assert lay_out(found).layout.replicas == 2


def test_machine_that_is_only_planned_for_starts_nothing() -> None:
    with pytest.raises(ConfigError) as caught:
        check_here(planned_devices("8x80GiB", memory_fraction=0.9, sharing=1))

    assert caught.value.message.startswith('engine.vllm.devices: "8x80GiB" plans for another')
    assert "render" in (caught.value.hint or "")


def test_plan_has_all_that_an_engine_needs_to_know() -> None:
    plan = deployment(replicas=2).plan(1, port=8001, first_port=9000, artefact=Path("/a"))

    assert (plan.name, str(plan.cores), plan.replicas) == ("r1", "1", 2)
    assert (plan.port, plan.first_port, plan.artefact) == (8001, 9000, Path("/a"))
    assert plan.folder is None


@pytest.mark.parametrize(
    ("wanted", "engine_limit", "expected"),
    [("auto", None, 3), ("auto", 1, 1), ("2", 1, 2), ("9", None, 3)],
)
def test_replicas_that_load_together_are_as_the_spec_says_or_as_the_engine_can_stand(
    wanted: str, engine_limit: int | None, expected: int
) -> None:
    engine = FakeEngine()
    engine.starts_together = engine_limit

    found = deployment(engine, replicas=3, supervisor__starts_together=wanted)

    assert found.starts_together == expected
