"""Real llama.cpp replicas next to simulated ones.

Each layout is deployed once. Every load is measured between two lots of probes: one request at a
time on every replica, with prompts of several lengths, and more of them with short prompts.
llama.cpp's step (``passes.py``) is fitted to these probes and to nothing else, since a machine that
others use too is not as fast all the time. Then the load is simulated with the same arrivals and
lengths.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.fleet_simulation.passes import Decoded, Probed, Prompted, fit_passes
from benchmarks.result_file import Row
from replicore.planner.simulate.fleet import simulate
from replicore.planner.simulate.load import ClosedLoop, Load, OpenLoop, Requests
from replicore.planner.simulate.model import FleetModel, ReplicaModel, Steps
from replicore.planner.simulate.summary import summarise

LAYOUTS = ((2, 1), (1, 2))
SLOTS = 4
# Of a step: what replicore starts llama.cpp with for four slots on one or two cores.
BUDGET = 16
POLICY = "least_work"
PROBE_INPUTS = (32, 96, 192)
_TIMEOUT_S = 60.0

ROUNDS = 5
# Of the random lengths and arrivals: of one lot of probes, and of one round.
_PROBE_SEEDS = 10
_ROUND_SEEDS = 100

Record = Mapping[str, Any]
Figures = dict[str, float]
# Measured and simulated.
Pair = tuple[Figures, Figures]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A load to be measured and simulated.

    Attributes:
        per_slot: Requests in flight over all slots of the layout; None for an open loop.
        load: Of an open loop, its rate over the one that saturates the layout.
    """

    name: str
    input_tokens: str
    output_tokens: str
    per_slot: float | None = None
    load: float | None = None


CASES = (
    Case(name="half of the slots", input_tokens="96", output_tokens="48", per_slot=0.5),
    Case(name="all slots", input_tokens="128", output_tokens="32", per_slot=1.0),
    Case(name="twice the slots", input_tokens="64", output_tokens="64", per_slot=2.0),
    Case(
        name="lengths that vary",
        input_tokens="uniform:32..192",
        output_tokens="uniform:16..64",
        per_slot=1.0,
    ),
    Case(name="poisson at 0.5", input_tokens="96", output_tokens="48", load=0.5),
    Case(name="poisson at 0.75", input_tokens="96", output_tokens="48", load=0.75),
)


def llamacpp_rows(requests: int) -> Iterator[Row]:
    """Measure and simulate; yield a row for each layout and case."""
    for replicas, tp in LAYOUTS:
        with deployed(replicas, tp) as url:
            rounds = [
                measure(url, replicas, requests, seed=_ROUND_SEEDS * one) for one in range(ROUNDS)
            ]
        layout = {"part": "llamacpp", "layout": f"{replicas}x{tp}", "requests": requests}
        for case, pairs in zip(CASES, zip(*rounds, strict=True), strict=True):
            yield {**layout, "case": case.name, **row_of(pairs)}


def measure(url: str, replicas: int, requests: int, *, seed: int) -> list[Pair]:
    """Return one round: what was measured of each case, and simulated from the probes around it."""
    before = probe(url, replicas, seed=seed)
    pairs = []
    for number, case in enumerate(CASES, 1):
        arguments = _arguments(case, fit_passes(before, BUDGET), replicas)
        records = bench(url, *arguments, requests=requests, seed=seed + number)
        after = probe(url, replicas, seed=seed + _PROBE_SEEDS * number)
        steps = fit_passes(before + after, BUDGET)
        pairs.append((measured_figures(records), simulated_figures(records, steps, replicas, case)))
        print(json.dumps({"case": case.name, "pair": pairs[-1], **asdict(steps)}), flush=True)
        before = after
    return pairs


def row_of(pairs: Sequence[Pair]) -> Row:
    """Return the medians over the rounds, and every round's error."""
    errors = {
        name: [round(simulated[name] / measured[name] - 1, 4) for measured, simulated in pairs]
        for name in pairs[0][0]
    }
    measured, simulated = (
        {name: round(median(figures[name] for figures in side), 4) for name in errors}
        for side in zip(*pairs, strict=True)
    )
    return {
        "measured": measured,
        "simulated": simulated,
        "error_median": {name: median(each) for name, each in errors.items()},
        "errors": errors,
    }


def measured_figures(records: Sequence[Record]) -> Figures:
    begin_s = min(record["dispatched_s"] for record in records)
    end_s = max(record["chunk_times_s"][-1] for record in records)
    ttft = [record["chunk_times_s"][0] - record["dispatched_s"] for record in records]
    tpot = [_tpot_s(record) for record in records if record["output_tokens"] > 1]
    return {
        "output_tokens_per_s": sum(one["output_tokens"] for one in records) / (end_s - begin_s),
        "ttft_p50_s": float(np.percentile(ttft, 50)),
        "ttft_p90_s": float(np.percentile(ttft, 90)),
        "tpot_p50_s": median(tpot),
    }


def simulated_figures(
    records: Sequence[Record], steps: Steps, replicas: int, case: Case
) -> Figures:
    """Return the same figures of a simulated fleet with the same arrivals and lengths."""
    requests = Requests(
        input_tokens=np.array([record["input_tokens"] for record in records]),
        output_tokens=np.array([record["output_tokens"] for record in records]),
    )
    found = summarise(simulate(fleet(steps, replicas), _load(records, replicas, case), requests))
    return {
        "output_tokens_per_s": found.output_tokens_per_s,
        "ttft_p50_s": found.ttft.p50 or 0.0,
        "ttft_p90_s": found.ttft.p90 or 0.0,
        "tpot_p50_s": found.tpot.p50 or 0.0,
    }


def fleet(steps: Steps, replicas: int) -> FleetModel:
    replica = ReplicaModel(steps=steps, slots=SLOTS, token_budget=BUDGET)
    return FleetModel(replicas=(replica,) * replicas, policy=POLICY)


def _load(records: Sequence[Record], replicas: int, case: Case) -> Load:
    if case.per_slot is not None:
        return ClosedLoop(_in_flight(case.per_slot, replicas))
    sent = np.array([record["dispatched_s"] for record in records])
    return OpenLoop(sent - sent.min())


def _in_flight(per_slot: float, replicas: int) -> int:
    return round(per_slot * SLOTS * replicas)


def _arguments(case: Case, steps: Steps, replicas: int) -> list[str]:
    """Return what ``replicore bench`` is told of a case."""
    lengths = ["--input-tokens", case.input_tokens, "--output-tokens", case.output_tokens]
    if case.per_slot is not None:
        return [*lengths, "-c", str(_in_flight(case.per_slot, replicas))]
    same = Requests.same(
        400, input_tokens=int(case.input_tokens), output_tokens=int(case.output_tokens)
    )
    full = summarise(simulate(fleet(steps, replicas), ClosedLoop(SLOTS * replicas), same))
    rate = (case.load or 0.0) * full.requests_per_s
    return [*lengths, "--arrivals", f"poisson:{rate:.3f}"]


# the machine


@contextmanager
def deployed(replicas: int, tp: int) -> Iterator[str]:
    """Serve the embedded model; yield the gateway's URL."""
    settings = [
        *("engine.kind=llamacpp", f"layout.batch_size={SLOTS}", "layout.max_model_len=512"),
        *(f"gateway.policy={POLICY}", "gateway.queue_timeout=300s"),
    ]
    argv = [sys.executable, "-m", "replicore", "up", "--name", "fleet", "--port", "0"]
    argv += ["--replicas", str(replicas), "--tp", str(tp)]
    argv += [word for setting in settings for word in ("--set", setting)]
    with (
        tempfile.TemporaryDirectory() as state,
        (Path(state) / "stderr").open("w+") as errors,
        subprocess.Popen(
            argv,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "REPLICORE_STATE_DIR": state},
        ) as process,
    ):
        try:
            line = process.stdout.readline() if process.stdout is not None else ""
            if not line.startswith("ready "):
                raise SystemExit(Path(errors.name).read_text())
            yield line.split()[1].removesuffix("/v1")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(_TIMEOUT_S)


def bench(url: str, *arguments: str, requests: int, seed: int) -> list[Record]:
    """Measure a load; return the records of all of its requests."""
    with tempfile.TemporaryDirectory() as folder:
        records = Path(folder) / "records.jsonl"
        argv = [sys.executable, "-m", "replicore", "bench", "--url", url, *arguments]
        argv += ["-n", str(requests), "--warmup", "0", "--seed", str(seed), "--no-calibrate"]
        argv += ["-o", str(Path(folder) / "result.json"), "--records", str(records)]
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        found = [json.loads(line) for line in records.read_text().splitlines()]
    failed = [record["failure"] for record in found if record["failure"] is not None]
    if failed:
        raise SystemExit(f"{len(failed)} requests failed, the first one with {failed[0]}")
    return sorted(found, key=lambda record: float(record["dispatched_s"]))


def probe(url: str, replicas: int, *, seed: int) -> list[Probed]:
    """Return what the fit goes by."""
    probed: list[Probed] = []
    for number, tokens in enumerate(PROBE_INPUTS, seed):
        alone = ["--input-tokens", str(tokens), "--output-tokens", "12", "-c", str(replicas)]
        for record in bench(url, *alone, requests=2 * replicas, seed=number):
            ttft_s = record["chunk_times_s"][0] - record["dispatched_s"]
            probed += [Prompted(record["input_tokens"], ttft_s), decoded([record])]
    for decoding in range(2, SLOTS + 1):
        in_flight = decoding * replicas
        together = ["--input-tokens", "8", "--output-tokens", "32", "-c", str(in_flight)]
        records = bench(url, *together, requests=in_flight, seed=seed + decoding)
        probed += [decoded(each) for each in by_replica(records)]
    return probed


def by_replica(records: Sequence[Record]) -> list[list[Record]]:
    """Return the records of each replica."""
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record["replica"], []).append(record)
    return list(found.values())


def decoded(together: Sequence[Record]) -> Decoded:
    """Return the mean step of requests of one replica while all of them decode."""
    begin_s = max(record["chunk_times_s"][0] for record in together)
    end_s = min(record["chunk_times_s"][-1] for record in together)
    times = together[0]["chunk_times_s"]
    steps = sum(begin_s < time_s <= end_s for time_s in times)
    context = sum(record["input_tokens"] + record["output_tokens"] // 2 for record in together)
    return Decoded(len(together), context, (end_s - begin_s) / steps)


def _tpot_s(record: Record) -> float:
    times: Sequence[float] = record["chunk_times_s"]
    gaps: int = record["output_tokens"] - 1
    return (times[-1] - times[0]) / gaps
