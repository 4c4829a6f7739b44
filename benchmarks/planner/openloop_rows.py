"""Runs under an arrival rate, and those up to saturation: what is asked of the planner."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from benchmarks.planner.rows import Row, Values, number, row_of
from replicore.planner.layouts import Layout
from replicore.planner.memory.rank import RankMemory
from replicore.planner.plan import Service
from replicore.planner.prediction.predictor import Predictor
from replicore.planner.question import Cores, Degree, Lengths, Load, Question
from replicore.planner.serving.curves import Curves
from replicore.planner.serving.service import service_of
from replicore.planner.sheet import OwnCores
from replicore.planner.step.replica import Replica
from replicore.planner.step.traffic import Case

TABLES = "CHKL"

# Requests that are in flight at most where nothing else is said: what a whole run of C has.
_MOST_IN_FLIGHT = 500

# What arrives over the most that the same replicas gave; above it they fell behind.
_FELL_BEHIND = 1.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One row.

    Attributes:
        model: As the row has it: other files of one model may be read by other kernels.
        case: One of its replicas.
        replicas: Behind one address.
        rate_per_s: None in a closed loop, and where all requests are sent at once.
        slots: Sequences that one replica works on at most.
        tok_s: Output tokens of all replicas.
        most_tok_s: The most that the same replicas gave in any run with such lengths.
    """

    id: str
    model: str
    case: Case
    replicas: int
    rate_per_s: float | None
    slots: int
    ttft_s: float
    tpot_s: float
    tok_s: float
    most_tok_s: float

    @property
    def saturated(self) -> bool:
        """Whether it fell behind the rate; so does what is sent all at once."""
        if self.rate_per_s is None:
            return True
        arriving = self.rate_per_s * self.case.traffic.output_tokens
        return arriving > _FELL_BEHIND * self.most_tok_s

    @property
    def replicas_and_lengths(self) -> tuple[object, ...]:
        traffic = self.case.traffic
        # Means of the same drawn lengths differ a little from run to run.
        lengths = round(traffic.input_tokens, -1), round(traffic.output_tokens, -1)
        return self.id[0], self.case.replica, self.replicas, lengths


def open_runs(rows: Sequence[Row]) -> Iterator[Run]:
    """Yield the runs with arrivals, those that send all at once among them."""
    yield from (run for run in _runs(rows) if run.id[0] != "L")


def closed_runs(rows: Sequence[Row]) -> Iterator[Run]:
    """Yield the runs of a closed loop up to saturation and beyond."""
    yield from (run for run in _runs(rows) if run.id[0] == "L")


def _runs(rows: Sequence[Row]) -> list[Run]:
    served = [row for row in rows if row.values.get("load") != "offline-all-at-once"]
    runs = [run for row in served if row.table in TABLES for run in _run(row)]
    most: dict[object, float] = {}
    for run in runs:
        key = run.replicas_and_lengths
        most[key] = max(most.get(key, 0.0), run.tok_s)
    return [replace(run, most_tok_s=most[run.replicas_and_lengths]) for run in runs]


def _run(row: Row) -> Iterator[Run]:
    """Yield the run of a row, if it is one that can be predicted."""
    values = row.values
    concurrency = values.get("concurrency") or "1"
    stand_in = {"load": "closed-loop", "concurrency": concurrency, "dp": "1"}
    read = row_of({**values, **stand_in}).observation
    tok_s = number(values, "out_tok_s")
    if read is None or read.ttft_s is None or read.tpot_s is None or tok_s is None:
        return
    yield Run(
        id=row.id,
        model=values["model"],
        case=replace(read.case, replica=_with_blocks(read.case.replica, values)),
        replicas=int(number(values, "dp") or 1),
        rate_per_s=number(values, "request_rate_rps"),
        slots=int(_noted(values, r"max_num_seqs (\d+)") or _MOST_IN_FLIGHT),
        ttft_s=read.ttft_s,
        tpot_s=read.tpot_s,
        tok_s=tok_s,
        most_tok_s=tok_s,
    )


def _with_blocks(replica: Replica, values: Values) -> Replica:
    """Return the replica with the KV cache that its log tells, where there is one."""
    blocks = _noted(values, r"KV blocks (\d+) x16")
    return replica if blocks is None else replace(replica, kv_tokens=16 * blocks)


def _noted(values: Values, pattern: str) -> float | None:
    found = re.search(pattern, values.get("notes", ""))
    return None if found is None else float(found[1])


def answer(run: Run, predictor: Predictor) -> Service:
    """Return what the planner says of a run."""
    question = _question(run)
    layout = Layout(replicas=run.replicas, tp=run.case.replica.tp, batch_size=run.slots)
    curve = Curves(question, predictor, [layout]).of(layout)
    kv_tokens = run.case.replica.kv_tokens
    return service_of(question, layout, curve, None if kv_tokens is None else int(kv_tokens))


def _question(run: Run) -> Question:
    replica, traffic = run.case.replica, run.case.traffic
    return Question(
        name=run.id,
        model=run.model,
        engine=replica.engine,
        anatomy=replica.anatomy,
        precision=replica.precision,
        cores=Cores(
            machine=replica.device.name,
            count=run.replicas * replica.tp,
            sheet=OwnCores(core=replica.device, count=run.replicas * replica.tp),
        ),
        degrees=(Degree(tp=replica.tp, replicas=run.replicas),),
        memory=_no_rules,
        max_model_len=round(traffic.input_tokens + traffic.output_tokens),
        input_tokens=Lengths(mean=traffic.input_tokens),
        output_tokens=Lengths(mean=traffic.output_tokens),
        batch_sizes=(run.slots,),
        load=_load(run),
    )


def _load(run: Run) -> Load:
    if run.id.startswith("L"):
        return Load(concurrency=round(run.case.traffic.concurrency))
    return Load(rate_per_s=run.rate_per_s)


def _no_rules(
    *, replicas: int, tp: int, batch_size: int, max_model_len: int
) -> tuple[RankMemory, str]:
    """Nobody asks: what ran did fit."""
    raise ValueError(f"{replicas}x{tp}x{batch_size} with {max_model_len} tokens has run")
