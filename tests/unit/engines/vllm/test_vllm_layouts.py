"""Where replicas of vLLM go on machines with GPUs: engine, hardware and layout together."""

from __future__ import annotations

import pytest

from replicore.deploy.layout import Layout, choose_layout
from replicore.engines.vllm.engine import Vllm
from replicore.errors import InfeasiblePlan
from replicore.hardware.cuda import CudaHardware
from replicore.spec import EngineSpec, LayoutSpec, VllmSpec
from tests.unit.engines.vllm.plans import SHAPE
from tests.unit.hardware.fake_nvml import FakeNvml, Gpu

GIB = 2**30


def lay_out(nvml: FakeNvml, layout: LayoutSpec, *, sharing: int = 1) -> Layout:
    spec = EngineSpec(kind="vllm", vllm=VllmSpec(device="cuda", replicas_per_device=sharing))
    engine = Vllm(spec, cuda=CudaHardware(sharing=sharing, environ={}, nvml=nvml))
    machine = engine.detect()
    return choose_layout(
        layout,
        machine,
        SHAPE,
        legal_tp=engine.legal_tp(machine, SHAPE),
        memory_bytes=lambda **sizes: engine.memory_bytes(SHAPE, **sizes),
    )


def ranges(layout: Layout) -> list[str]:
    return [str(cores) for cores in layout.ranges]


def test_each_gpu_that_is_large_enough_has_a_replica() -> None:
    assert ranges(lay_out(FakeNvml(Gpu(), Gpu()), LayoutSpec())) == ["0", "1"]


def test_two_replicas_share_a_gpu_when_that_is_asked_for() -> None:
    nvml = FakeNvml(Gpu())

    assert ranges(lay_out(nvml, LayoutSpec(), sharing=2)) == ["0", "0"]
    with pytest.raises(InfeasiblePlan, match="2 replicas x 1 core need 2 cores, 1 is usable"):
        lay_out(nvml, LayoutSpec(replicas=2))


def test_replicas_too_large_for_half_a_gpu_do_not_share_it() -> None:
    # 16 GB of weights and 5 GB of workspace, and 18 GiB for each of two
    with pytest.raises(InfeasiblePlan, match="of memory"):
        lay_out(FakeNvml(Gpu(total=40 * GIB, free=40 * GIB)), LayoutSpec(replicas=2), sharing=2)


def test_small_gpus_are_joined_until_the_model_fits() -> None:
    small = [Gpu(total=16 * GIB, free=16 * GIB)] * 4

    assert ranges(lay_out(FakeNvml(*small), LayoutSpec())) == ["0-1", "2-3"]


def test_ranks_of_a_replica_stay_on_their_nvlink_island() -> None:
    linked = ((0, 2), (1, 3))

    layout = lay_out(FakeNvml(*[Gpu()] * 4, linked=linked), LayoutSpec(replicas=2, tp=2))

    assert ranges(layout) == ["0,2", "1,3"]


def test_busy_gpu_is_left_to_whoever_holds_it() -> None:
    nvml = FakeNvml(Gpu(), Gpu(free=8 * GIB, processes=((1, 70 * GIB),)), Gpu())

    assert ranges(lay_out(nvml, LayoutSpec())) == ["0", "2"]
