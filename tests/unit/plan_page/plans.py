"""Plans with made-up numbers that have the form of real ones."""

from __future__ import annotations

from collections.abc import Iterator

from replicore.hardware.devices import devices
from replicore.models.anatomy import Anatomy
from replicore.planner.memory.rank import RankMemory
from replicore.planner.plan import Change, Forecast, Outcome, Plan, Service
from replicore.planner.question import Cores, Degree, Lengths, Load, Question, Slo
from replicore.planner.sheet import OwnCores
from replicore.planner.step.precision import Precision
from replicore.planner.step.replica import Replica
from replicore.planner.step.traffic import Case, Traffic
from replicore.units import GIB

CORE = devices()["h100"]
ANATOMY = Anatomy(
    layers=32, hidden=4096, heads=32, kv_heads=8, head_dim=128, vocab=128256, intermediate=14336
)
CORES = 8


def question(*, slo: Slo | None = None, load: Load | None = None) -> Question:
    return Question(
        name="default",
        model="llama-8b",
        engine="vllm",
        anatomy=ANATOMY,
        precision=Precision(),
        cores=Cores(machine="8 x H100", count=CORES, sheet=OwnCores(core=CORE, count=CORES)),
        degrees=tuple(Degree(tp=tp, replicas=CORES // tp) for tp in (1, 2, 4, 8)),
        memory=_memory,
        max_model_len=4096,
        input_tokens=Lengths(mean=1024, stddev=128),
        output_tokens=Lengths(mean=256),
        batch_sizes=(1, 4, 16, 64),
        slo=slo or Slo(),
        load=load or Load(),
    )


def _memory(
    *, replicas: int, tp: int, batch_size: int, max_model_len: int
) -> tuple[RankMemory, str]:
    return memory(tp, batch_size), ""


def memory(tp: int, batch_size: int) -> RankMemory:
    return RankMemory(
        capacity=79 * GIB,
        weights=16 * GIB // tp,
        kv=batch_size * GIB // 2 // tp,
        kv_per_token=131_072 // tp,
        activation=2 * GIB,
        overhead=1 * GIB,
    )


def service(
    replicas: int, tp: int, batch_size: int, *, meets: float = 1.0, beyond: tuple[str, ...] = ()
) -> Service:
    """Return times that grow with the batch, and fall with the tp less than they could."""
    tpot_s = (0.004 + 0.0004 * batch_size) * (0.15 + 0.85 / tp)
    ttft_s = 4 * tpot_s * (1 + batch_size / 16)
    rate = batch_size / tpot_s
    collectives = 0.5 * (1 - 1 / tp)
    shares = {"weights": 0.9 - collectives, "kv": 0.1, "compute": 0.0, "prefill": 0.0}
    shares |= {"collectives": collectives, "host": 0.0, "queue": 0.0}
    return Service(
        ttft_s=Forecast.of(ttft_s, 0.2),
        tpot_s=Forecast.of(tpot_s, 0.06),
        ttft_p99_s=Forecast.of(2 * ttft_s, 0.3),
        tpot_p99_s=Forecast.of(1.2 * tpot_s, 0.08),
        replica_tokens_per_s=Forecast.of(rate, 0.06),
        tokens_per_s=Forecast.of(rate * replicas, 0.06),
        goodput_per_s=rate * replicas / 256,
        running=batch_size,
        utilisation=1.0,
        shares=shares,
        tpot_shares=shares,
        ttft_shares=shares,
        binding=max(shares, key=lambda cost: shares[cost]),
        meets=meets,
        log_sd=0.06,
        case=_case(tp, batch_size),
        beyond=beyond,
    )


def _case(tp: int, batch_size: int) -> Case:
    replica = Replica(device=CORE, engine="vllm", anatomy=ANATOMY, precision=Precision(), tp=tp)
    traffic = Traffic(input_tokens=1024, output_tokens=256, concurrency=batch_size)
    return Case(replica=replica, traffic=traffic)


def outcome(replicas: int, tp: int, batch_size: int, found: Service | None = None) -> Outcome:
    return Outcome(
        replicas=replicas,
        tp=tp,
        batch_size=batch_size,
        memory=memory(tp, batch_size),
        service=found or service(replicas, tp, batch_size),
    )


def refusal(replicas: int, tp: int, batch_size: int, reason: str) -> Outcome:
    return Outcome(replicas=replicas, tp=tp, batch_size=batch_size, refusal=reason)


def plan(*outcomes: Outcome, slo: Slo | None = None, feasible: bool = True) -> Plan:
    """Return a plan whose best is the first that can be run."""
    best = next((one for one in outcomes if one.service is not None), None)
    return Plan(
        question=question(slo=slo),
        outcomes=outcomes,
        best=best,
        feasible=feasible and best is not None,
        reason="8x1x64: 1.5 x the tok/s of 1x8x64, since collectives are 44 % of TPOT at tp 8",
        calibrated_from="1,060 published measurements of vllm on h100",
        changes=(Change(what="a TPOT limit of 10 ms", size="4x2x16"),),
    )


def wide_plan(*, slo: Slo | None = None) -> Plan:
    """Return a plan of every layout of eight cores, some of them too likely to break a limit."""
    runnable = sorted(
        _all(), key=lambda one: -one.service.tokens_per_s.value if one.service else 0.0
    )
    return plan(*runnable, refusal(1, 3, 1, "tp 3 does not divide the 32 attention heads"), slo=slo)


def _all() -> Iterator[Outcome]:
    for tp in (1, 2, 4, 8):
        for replicas in range(1, CORES // tp + 1):
            for batch_size in (1, 4, 16, 64):
                meets = 0.2 if batch_size == 64 and tp == 1 else 0.99
                found = service(replicas, tp, batch_size, meets=meets)
                yield outcome(replicas, tp, batch_size, found)
