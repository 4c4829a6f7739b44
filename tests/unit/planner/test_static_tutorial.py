"""AWS's tutorial: Llama 3.3 70B on the 64 cores of a trn2.48xlarge, 7936 tokens in, 256 out."""

from __future__ import annotations

import pytest

from replicore.hardware.devices import devices
from replicore.models.infer import anatomy_of
from replicore.models.shape import ModelShape
from replicore.models.variants import find_variant
from replicore.planner.files.load import shipped
from replicore.planner.memory.neuron import neuron_rank, refuse
from replicore.planner.step.precision import Precision
from replicore.planner.step.replica import Replica, StaticBatch
from replicore.planner.step.traffic import Case, Traffic
from replicore.spec.tables import NeuronSpec

CORES = 64
LENGTH = 8192
OUTPUT = 256


def llama(name: str = "Llama-3.3-70B-Instruct") -> ModelShape:
    shape = find_variant(name)
    assert shape is not None
    return shape


def times(
    tp: int, batch_size: int, *, shape: ModelShape | None = None, length: int = LENGTH
) -> tuple[float, float]:
    """Return the predicted TTFT and TPOT of one replica whose slots are all taken."""
    replica = Replica(
        device=devices()["trn2"],
        engine="neuron",
        anatomy=anatomy_of(shape or llama()),
        precision=Precision(),
        tp=tp,
        static=StaticBatch(batch_size=batch_size, max_model_len=length, prompt_tokens=LENGTH),
    )
    traffic = Traffic(input_tokens=7936, output_tokens=OUTPUT, concurrency=batch_size)
    cases = [Case(replica=replica, traffic=traffic)]
    tpot = shipped().tpot(cases).seconds
    return float(shipped().ttft(cases, tpot).seconds[0]), float(tpot[0])


def output_per_s(tp: int, batch_size: int) -> float:
    """Return the output tokens per second of as many replicas as the machine has room for."""
    ttft_s, tpot_s = times(tp, batch_size)
    return CORES / tp * batch_size * OUTPUT / (ttft_s + (OUTPUT - 1) * tpot_s)


def test_four_replicas_of_16_cores_give_about_twice_what_one_of_64_gives() -> None:
    assert 1.5 < output_per_s(16, 4) / output_per_s(64, 4) < 2.6


def test_the_price_of_more_replicas_is_a_later_first_token() -> None:
    assert times(16, 4)[0] > 2 * times(64, 4)[0]


@pytest.mark.parametrize("batch_size", [1, 4])
def test_every_halving_of_the_tp_gives_more_throughput_and_slower_steps(batch_size: int) -> None:
    degrees = (64, 32, 16, 8)
    rates = [output_per_s(tp, batch_size) for tp in degrees]
    steps = [times(tp, batch_size)[1] for tp in degrees]
    assert rates == sorted(rates)
    assert steps == sorted(steps)


@pytest.mark.parametrize(("tp", "fits"), [(1, False), (2, False), (4, False), (16, True)])
def test_small_tps_are_refused_for_the_memory_of_rank_0(tp: int, fits: bool) -> None:
    trn2 = devices()["trn2"]
    memory = neuron_rank(
        llama(),
        NeuronSpec(),
        tp=tp,
        lnc=2,
        batch_size=4,
        max_model_len=LENGTH,
        core_bytes=trn2.memory_bytes or 0,
    )
    assert (refuse(memory, batch_size=4, max_model_len=LENGTH) is None) is fits


@pytest.mark.parametrize(
    ("model", "tpot_s"),
    [
        ("Llama-3.3-70B-Instruct", 0.01966),
        ("Llama-3.1-405B-Instruct", 0.0379),
    ],
)
def test_published_steps_at_tp_64_are_met_within_a_fifth(model: str, tpot_s: float) -> None:
    """Source: NxD Inference tutorials, compiled for 12800 tokens."""
    _, predicted = times(64, 1, shape=llama(model), length=12_800)
    assert predicted == pytest.approx(tpot_s, rel=0.2)
