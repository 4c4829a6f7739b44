"""What is written on the command line of a plan."""

from __future__ import annotations

import pytest

from replicore.errors import ConfigError
from replicore.planner.asked import hardware_keys, parse_devices, parse_layout, parse_slo
from replicore.planner.question import Slo


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("ttft=2s,tpot=40ms", Slo(ttft_p99_s=2.0, tpot_p99_s=0.04)),
        ("tpot=40ms", Slo(tpot_p99_s=0.04)),
        (" tpot=0.04s , ttft=1m", Slo(ttft_p99_s=60.0, tpot_p99_s=0.04)),
    ],
)
def test_limits_are_names_and_durations(text: str, limits: Slo) -> None:
    assert parse_slo(text) == limits


@pytest.mark.parametrize("text", ["", "2s", "itl=3ms", "ttft", "ttft=soon", "ttft=0s", "tpot=40"])
def test_other_limits_are_refused_with_the_form(text: str) -> None:
    with pytest.raises(ConfigError, match="--slo: "):
        parse_slo(text)


def test_a_layout_is_replicas_and_cores_and_maybe_slots() -> None:
    assert parse_layout("--explain", "4x16") == (4, 16, None)
    assert parse_layout("--explain", "4x16x2") == (4, 16, 2)


@pytest.mark.parametrize("text", ["4", "4x", "0x2", "4x16x", "4*16", "axb"])
def test_other_layouts_are_refused_with_the_form(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--explain: .*such as 4x16"):
        parse_layout("--explain", text)


@pytest.mark.parametrize("text", ["8xH100", "H100x8"])
def test_devices_are_counted_before_or_after_their_name(text: str) -> None:
    assert parse_devices(text) == ("H100", 8)


def test_hardware_decides_the_engine_that_is_planned_for() -> None:
    assert hardware_keys("trn2.48xlarge", is_instance=True) == {
        "engine.kind": "neuron",
        "engine.neuron.instance": "trn2.48xlarge",
    }
    assert hardware_keys("4xMI300X", is_instance=False)["engine.vllm.devices"] == "4xMI300X"
    assert hardware_keys("h100", is_instance=False)["engine.vllm.devices"] == "8xh100"
