from __future__ import annotations

from pathlib import Path

import pytest

from replicore.cores import CoreRange
from replicore.engines.engine import PORTS_PER_REPLICA
from replicore.engines.vllm.launch import (
    LEAKED,
    arguments,
    cpu_environment,
    default_arguments,
    device_environment,
    environment,
    fraction_of_one,
    segments,
)
from tests.unit.engines.vllm.plans import plan


def test_arguments_carry_the_whole_plan() -> None:
    found = arguments(plan(), ranks=2, dtype="bfloat16", memory_fraction=0.45)

    assert " ".join(found) == (
        "--model /models/llama --served-model-name llama --host 127.0.0.1 --port 40001 "
        "--tensor-parallel-size 2 --max-num-seqs 8 --max-model-len 2048 --dtype bfloat16 "
        "--gpu-memory-utilization 0.45"
    )


def test_cpu_cores_have_no_memory_fraction() -> None:
    found = arguments(plan(), ranks=1, dtype="auto", memory_fraction=None)

    assert "--gpu-memory-utilization" not in found


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        (None, "--disable-uvicorn-access-log --shutdown-timeout 5"),
        ((0, 32, 0), "--disable-uvicorn-access-log --shutdown-timeout 5"),
        ((0, 18, 0), "--disable-uvicorn-access-log --shutdown-timeout 5"),
        ((0, 17, 1), "--disable-uvicorn-access-log"),
        ((0, 10, 1), "--disable-uvicorn-access-log"),
        ((0, 10, 0), "--disable-uvicorn-access-log --disable-log-requests"),
    ],
)
def test_defaults_are_those_that_a_release_has(
    release: tuple[int, ...] | None, expected: str
) -> None:
    assert " ".join(default_arguments(release, {})) == expected


def test_default_that_args_choose_is_left_to_them() -> None:
    found = default_arguments((0, 32, 0), {"--shutdown-timeout": "60"})

    assert found == ("--disable-uvicorn-access-log",)


def test_ports_are_inside_the_block() -> None:
    variables = environment(plan(first_port=20_480), {"--kv-transfer-config": "{}"})
    ports = [int(value) for name, value in variables.items() if name.endswith("_PORT")]

    assert variables["VLLM_PORT"] == "20480"
    assert len(set(ports)) == len(ports) == 3
    assert all(20_480 <= port < 20_480 + PORTS_PER_REPLICA for port in ports)


def test_replicas_differ_in_nothing_that_the_compile_cache_goes_by() -> None:
    one, other = (environment(plan(first_port=port), {}) for port in (20_480, 20_544))

    # vLLM leaves VLLM_PORT out of its key (envs.compile_factors), and does not know MASTER_PORT
    differing = {name for name, value in one.items() if other[name] != value}
    assert differing == {"VLLM_PORT", "MASTER_PORT"}


def test_without_a_block_the_ports_are_for_vllm_to_choose() -> None:
    assert not [name for name in environment(plan(), {}) if name.endswith("_PORT")]


def test_nothing_between_a_replicas_processes_is_for_the_network() -> None:
    variables = environment(plan(), {})

    assert variables["VLLM_HOST_IP"] == "127.0.0.1"
    assert variables["GLOO_SOCKET_IFNAME"] == "lo"
    assert variables["VLLM_NO_USAGE_STATS"] == "1"


def test_compile_cache_is_the_artefact_and_the_folder_where_there_is_none() -> None:
    folder, artefact = Path("/state/r1"), Path("/store/abc")

    assert "VLLM_CACHE_ROOT" not in environment(plan(), {})
    assert environment(plan(folder=folder), {})["VLLM_CACHE_ROOT"] == "/state/r1"
    assert (
        environment(plan(folder=folder, artefact=artefact), {})["VLLM_CACHE_ROOT"] == "/store/abc"
    )


def test_temporary_files_are_in_the_folder_unless_sockets_would_not_fit() -> None:
    longest, longer = Path("/" + "x" * 69), Path("/" + "x" * 70)

    assert environment(plan(folder=longest), {})["TMPDIR"] == str(longest)
    assert "TMPDIR" not in environment(plan(folder=longer), {})


@pytest.mark.parametrize(
    ("cores", "ranks", "binding", "threads"),
    [("0-1", 2, "0|1", "1"), ("0-7", 2, "0-3|4-7", "4"), ("1,3-5", 2, "1,3|4-5", "2")],
)
def test_each_rank_has_its_own_threads(cores: str, ranks: int, binding: str, threads: str) -> None:
    found = cpu_environment(CoreRange.parse(cores), ranks=ranks, kv_cache=2**30)

    assert found["VLLM_CPU_OMP_THREADS_BIND"] == binding
    assert found["OMP_NUM_THREADS"] == threads


def test_kv_cache_of_a_replica_is_split_over_its_ranks() -> None:
    found = cpu_environment(CoreRange.parse("0-1"), ranks=2, kv_cache=5 * 2**30)

    assert found["VLLM_CPU_KVCACHE_SPACE"] == "3"  # 2.5 GiB each, in whole GiB


def test_devices_are_counted_as_nvml_counts_them() -> None:
    assert device_environment(["4", "5"]) == {
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES": "4,5",
    }


@pytest.mark.parametrize(("replicas", "share"), [(1, 0.9), (2, 0.45), (7, 0.1285)])
def test_replicas_of_one_device_never_take_more_than_the_fraction(
    replicas: int, share: float
) -> None:
    assert fraction_of_one(0.9, replicas) == share
    assert share * replicas <= 0.9


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        ({}, ("psm_", "sem.mp-", "vllm_dist_")),
        ({"--mm-processor-cache-type": "shm"}, ()),
        ({"--enable-elastic-ep": "true"}, ()),
    ],
)
def test_shared_memory_is_named_unless_it_is_opened_later(
    chosen: dict[str, str], names: tuple[str, ...]
) -> None:
    assert segments(chosen) == names


def test_leaked_variables_are_each_named_once() -> None:
    assert {"WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE"} < set(LEAKED)
    assert len(set(LEAKED)) == len(LEAKED)
