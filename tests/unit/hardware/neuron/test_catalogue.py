from __future__ import annotations

import pytest

from replicore.errors import ConfigError
from replicore.hardware.neuron.catalogue import find_instance, instances

GIB = 2**30

# From the table of instances in facts/neuron.md 3.2, per instance: logical cores at the default
# LNC, HBM in GiB in all and per logical core, HBM bandwidth in TB/s, dense BF16 in TFLOPS, vCPUs,
# RAM in GiB.
TABLE = [
    ("inf2.xlarge", 2, 32, 16, 0.82, 190, 4, 16),
    ("inf2.8xlarge", 2, 32, 16, 0.82, 190, 32, 128),
    ("inf2.24xlarge", 12, 192, 16, 4.92, 1140, 96, 384),
    ("inf2.48xlarge", 24, 384, 16, 9.84, 2280, 192, 768),
    ("trn1.2xlarge", 2, 32, 16, 0.82, 190, 8, 32),
    ("trn1.32xlarge", 32, 512, 16, 13.12, 3040, 128, 512),
    ("trn1n.32xlarge", 32, 512, 16, 13.12, 3040, 128, 512),
    ("trn2.3xlarge", 4, 96, 24, 2.9, 667, None, None),
    ("trn2.48xlarge", 64, 1536, 24, 46.4, 10672, 192, 2048),
    ("trn2u.48xlarge", 64, 1536, 24, 46.4, 10672, 192, 2048),
    ("trn2n.48xlarge", 64, 1536, 24, 46.4, 10672, None, None),
    ("trn3.gen1", 64, 2304, 36, 78.4, 10736, None, None),
    ("trn3.gen2", 16, 576, 36, 19.6, 2684, None, None),
]


@pytest.mark.parametrize(
    ("name", "cores", "hbm", "core_hbm", "bandwidth", "flops", "vcpus", "ram"), TABLE
)
def test_an_instance_has_the_published_sizes(
    name: str,
    cores: int,
    hbm: int,
    core_hbm: int,
    bandwidth: float,
    flops: float,
    vcpus: int | None,
    ram: int | None,
) -> None:
    instance = find_instance(name)
    chip, lnc = instance.chip, instance.chip.lnc[0]

    assert instance.cores(lnc) == cores
    assert (instance.hbm_bytes, chip.core_hbm_bytes(lnc)) == (hbm * GIB, core_hbm * GIB)
    assert cores * chip.core_hbm_bytes_per_s(lnc) == pytest.approx(bandwidth * 1e12)
    assert cores * chip.core_bf16_flops(lnc) == pytest.approx(flops * 1e12)
    assert instance.vcpus == vcpus
    assert instance.ram_bytes == (None if ram is None else ram * GIB)


def test_the_table_has_every_instance() -> None:
    assert {row[0] for row in TABLE} == set(instances())


def test_at_lnc_1_trn2_has_twice_the_cores_of_half_the_memory() -> None:
    instance = find_instance("trn2.48xlarge")

    assert instance.cores(1) == 128
    assert instance.chip.core_hbm_bytes(1) == 12 * GIB


def test_numa_nodes_are_known_for_all_devices_or_none_with_their_cpus_disjoint() -> None:
    for instance in instances().values():
        cpus = [cpu for node in instance.numa_cpus for cpu in node]

        assert len(instance.device_numa) in (0, instance.chips)
        assert set(instance.device_numa) == set(range(len(instance.numa_cpus)))
        assert len(set(cpus)) == len(cpus)
        assert not cpus or instance.vcpus in (len(cpus), None)


def test_what_has_no_published_source_says_so() -> None:
    assert "instance" in find_instance("trn2.3xlarge").unverified
    assert "instance" in find_instance("trn3.gen1").unverified
    assert "alignment" in find_instance("inf2.48xlarge").chip.unverified
    assert not find_instance("trn2.48xlarge").unverified
    assert all(instance.chip.source for instance in instances().values())


def test_an_unknown_instance_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match=r'"trn2.48xlrage" .* did you mean "trn2.48xlarge"\?'):
        find_instance("trn2.48xlrage")
