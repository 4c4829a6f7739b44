from __future__ import annotations

import pytest

from replicore.hardware.neuron.identify import by_numbers, by_type

GIB = 2**30


@pytest.mark.parametrize(
    ("types", "name", "chip", "in_catalogue"),
    [
        (("trn2.48xlarge", "trn1.32xlarge"), "trn2.48xlarge", "Trainium2", True),
        ((None, "trn1.32xlarge"), "trn1.32xlarge", "Trainium1", True),
        (("", "Standard PC", "inf2.xlarge"), "inf2.xlarge", "Inferentia2", True),
        (("trn3pd.48xlarge",), "trn3pd.48xlarge", "Trainium3", False),
        (("trn1n.2xlarge",), "trn1n.2xlarge", "Trainium1", False),
    ],
)
def test_the_first_instance_type_that_is_known_counts(
    types: tuple[str | None, ...], name: str, chip: str, in_catalogue: bool
) -> None:
    identity = by_type(types)

    assert identity is not None
    assert (identity.name, identity.chip.name) == (name, chip)
    assert (identity.instance is not None) == in_catalogue


@pytest.mark.parametrize("types", [(), (None,), ("inf1.xlarge",), ("p5.48xlarge",), ("trn.x",)])
def test_a_type_of_no_known_family_tells_nothing(types: tuple[str | None, ...]) -> None:
    assert by_type(types) is None


@pytest.mark.parametrize(
    ("gib", "cores", "links", "name", "chip"),
    [
        (32, 2, 2, "Inferentia2", "Inferentia2"),
        (32, 2, 4, "Trainium1", "Trainium1"),
        (32, 2, 0, "Inferentia2 or Trainium1", "Trainium1"),
        (32, 2, 1, "Inferentia2 or Trainium1", "Trainium1"),
        (96, 8, 0, "Trainium2", "Trainium2"),
        (96, 8, 4, "Trainium2", "Trainium2"),
        (144, 8, 0, "Trainium3", "Trainium3"),
    ],
)
def test_devices_are_known_by_their_numbers_as_far_as_those_tell(
    gib: int, cores: int, links: int, name: str, chip: str
) -> None:
    identity = by_numbers(memory_bytes=gib * GIB, physical_cores=cores, links=links)

    assert identity is not None
    assert (identity.name, identity.chip.name) == (name, chip)


def test_numbers_of_no_known_chip_tell_nothing() -> None:
    assert by_numbers(memory_bytes=8 * GIB, physical_cores=4, links=2) is None
