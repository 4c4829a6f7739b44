from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from replicore.hardware.neuron.monitor import Reading, parse_line, read_monitor
from tests.unit.hardware.neuron.samples import needs_samples, sample
from tests.unit.hardware.neuron.tools import FakeTools, report


@needs_samples
@pytest.mark.parametrize(
    ("name", "instance_type", "cores"),
    [
        ("trn1.2xlarge_idle_captured.ndjson", "trn1.2xlarge", []),
        ("trn2n.48xlarge_docs_composite.json", "trn2n.48xlarge", ["0-1"]),
        ("inf1.xlarge_four_runtimes_captured.json", "inf1.xlarge", ["0", "1", "2", "3"]),
    ],
)
def test_every_sample_is_read(name: str, instance_type: str, cores: list[str]) -> None:
    reading = parse_line(sample(f"neuron-monitor_{name}"))

    assert reading.instance_type == instance_type
    assert [str(usage.cores) for usage in reading.usage.values()] == cores


@needs_samples
def test_a_process_has_the_memory_of_all_its_cores() -> None:
    usage = parse_line(sample("neuron-monitor_trn2n.48xlarge_docs_composite.json")).usage

    # constants + model_code + tensors of each of the two cores
    assert usage[0].memory_bytes == 2 * (193986816 + 176285056 + 20971520)


def test_a_core_without_memory_is_not_held() -> None:
    reading = parse_line(report({7: {0: 0, 1: 5, 2: 0, 3: 6}}))

    assert str(reading.usage[7].cores) == "1,3"
    assert reading.usage[7].memory_bytes == 11


@pytest.mark.parametrize("line", ["", "not JSON", "[]", '{"neuron_runtime_data": 3}'])
def test_a_line_that_is_no_report_tells_nothing(line: str) -> None:
    assert parse_line(line) == Reading()


def test_a_monitor_that_is_not_installed_tells_nothing(tmp_path: Path) -> None:
    assert read_monitor(FakeTools(), tmp_path) == Reading()


def test_the_monitor_is_asked_for_memory_once_a_second_and_its_settings_are_gone_then(
    tmp_path: Path,
) -> None:
    settings: list[Path] = []

    def run(argv: Sequence[str], *, first_line: bool = False) -> str:
        settings.append(Path(argv[2]))
        asked = json.loads(settings[0].read_text())
        assert asked["period"] == "1s"
        assert asked["neuron_runtimes"][0]["metrics"] == [{"type": "memory_used"}]
        return report({}, instance_type="trn2.48xlarge")

    assert read_monitor(run, tmp_path).instance_type == "trn2.48xlarge"
    assert not settings[0].exists()
