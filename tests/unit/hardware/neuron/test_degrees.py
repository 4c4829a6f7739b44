from __future__ import annotations

import pytest

from replicore.hardware.neuron.catalogue import find_instance
from replicore.hardware.neuron.degrees import documented_tp, unverified_tp


@pytest.mark.parametrize(
    ("instance", "cores", "degrees"),
    [
        ("trn2.48xlarge", 64, (1, 2, 4, 8, 16, 32, 64)),
        ("trn2.48xlarge", 128, (1, 2, 4, 8, 16, 32, 64)),
        ("trn2.3xlarge", 4, (1, 2, 4)),
        ("trn1.32xlarge", 32, (1, 2, 8, 16, 32)),
        ("trn1.2xlarge", 2, (1, 2)),
        ("inf2.xlarge", 2, (1, 2)),
        ("inf2.24xlarge", 12, (1, 2, 4, 8)),
        ("inf2.48xlarge", 24, (1, 2, 4, 8, 24)),
    ],
)
def test_documented_degrees_go_as_far_as_the_cores(
    instance: str, cores: int, degrees: tuple[int, ...]
) -> None:
    assert documented_tp(find_instance(instance).chip, cores) == degrees


@pytest.mark.parametrize(
    ("instance", "cores", "degrees"),
    [
        ("inf2.48xlarge", 24, (12, 16)),
        ("inf2.24xlarge", 12, (12,)),
        ("inf2.xlarge", 2, ()),
        ("trn1.32xlarge", 32, ()),
    ],
)
def test_degrees_that_sources_disagree_about_are_unverified(
    instance: str, cores: int, degrees: tuple[int, ...]
) -> None:
    assert unverified_tp(find_instance(instance).chip, cores) == degrees
