"""``plan --hardware``."""

from __future__ import annotations

import re

import pytest

from replicore.cli.plan_hardware import elsewhere, hardware_given
from replicore.errors import ConfigError
from replicore.spec import load_spec


def test_no_hardware_sets_no_key() -> None:
    assert hardware_given(None) == {}


def test_everything_that_an_error_names_is_taken() -> None:
    with pytest.raises(ConfigError) as caught:
        hardware_given("abacus")

    _, *named = re.findall(r'"([^"]+)"', caught.value.message)
    assert len(named) > 3
    assert all(hardware_given(name) for name in named)


@pytest.mark.parametrize(
    ("text", "near"),
    [("4xL40", "l40s"), ("trn2.48xlarg", "trn2.48xlarge"), ("8xinf2", "inf2.48xlarge")],
)
def test_what_is_not_known_is_refused_with_the_nearest_that_is(text: str, near: str) -> None:
    with pytest.raises(ConfigError, match=rf'--hardware: "{re.escape(text)}".*"{near}"'):
        hardware_given(text)


def test_another_machine_has_not_the_cores_and_the_setting_of_the_spec() -> None:
    overrides = {"layout.cores": "0-23", "engine.neuron.lnc": "1"}
    spec = load_spec(None, environ={}, overrides=overrides)

    moved = elsewhere(spec, {})
    assert (moved.layout.cores, moved.engine.neuron.lnc) == (None, None)
    assert elsewhere(spec, overrides) == spec
