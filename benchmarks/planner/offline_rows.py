"""Rows of TensorRT-LLM's offline tables: what ran, and how many output tokens a second it gave.

What the tables do not say is in their documents: how many requests there were, that a request
starts only where the KV cache has room for all of it, and that 95 % of the memory that is free once
the engine is loaded is KV cache. What the runtime takes of it, and the largest batch that the
engine was built for, nobody says: they are settings that are chosen by hold-out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.planner.rows import Row, number, row_of
from replicore.planner.prediction.fit import Array
from replicore.planner.prediction.offline import Offline, offline_terms
from replicore.planner.step.replica import Replica

TABLES = "BDE"

_KV_SHARE_OF_FREE = 0.95

# By (input, output) length: NVIDIA/TensorRT-LLM docs/source/performance/perf-overview.md (v0.17)
_REQUESTS = {
    (128, 128): 30_000,
    (128, 2048): 3000,
    (128, 4096): 1500,
    (2048, 128): 3000,
    (2048, 2048): 1500,
    (5000, 500): 1500,
    (1000, 1000): 3000,
    (500, 2000): 3000,
    (20_000, 2000): 1000,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is not published.

    Attributes:
        own_use_bytes: Of the runtime on each device, besides weights and KV cache.
        max_batch: Sequences that an engine is built for.
        firmness: How much more closely than usual factors are held to what is believed of them.
    """

    own_use_bytes: float
    max_batch: int
    firmness: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OfflineRun:
    """One row.

    Attributes:
        family: Device and version of the engine: they share factors.
        case: Rows of one case differ in tp alone.
    """

    id: str
    family: tuple[str, str]
    case: tuple[str, ...]
    hardware: str
    model: str
    replica: Replica
    input_tokens: float
    output_tokens: float
    tok_s: float

    @property
    def lengths(self) -> tuple[float, float]:
        return self.input_tokens, self.output_tokens

    @property
    def tp(self) -> int:
        return self.replica.tp

    def terms(self, settings: Settings) -> Array:
        """Return the data-sheet seconds of one output token."""
        load = Offline(
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            requests=_REQUESTS.get((int(self.input_tokens), int(self.output_tokens))),
            max_batch=settings.max_batch,
        )
        return offline_terms(self._with_room(settings.own_use_bytes), load)

    def _with_room(self, own_use_bytes: float) -> Replica:
        replica = self.replica
        weights = replica.anatomy.rank_weight_bytes(replica.tp, replica.precision.weight_bytes)
        free = (replica.device.memory_bytes or np.inf) - weights - own_use_bytes
        token = replica.anatomy.rank_kv_bytes_per_token(replica.tp, replica.precision.kv_bytes)
        return replace(replica, kv_tokens=max(0.0, _KV_SHARE_OF_FREE * free / token))


def offline_runs(rows: Iterable[Row]) -> tuple[list[OfflineRun], dict[str, int]]:
    """Return the runs of the offline tables, and how many rows were refused by reason."""
    runs: list[OfflineRun] = []
    refused: dict[str, int] = {}
    for row in rows:
        if row.table not in TABLES:
            continue
        found = _run(row)
        if isinstance(found, OfflineRun):
            runs.append(found)
        else:
            refused[found] = refused.get(found, 0) + 1
    return runs, refused


def _run(row: Row) -> OfflineRun | str:
    # Read as if one request at a time had been sent: what ran is the same whatever the load.
    stand_in = {"load": "closed-loop", "concurrency": "1", "tpot_ms": "1"}
    values = row.values
    read = row_of({**values, **stand_in})
    tok_s = number(values, "out_tok_s")
    if read.observation is None or tok_s is None:
        return read.refusal or "no throughput"
    case, version = read.observation.case, values.get("engine_version", "").split(" ")[0]
    names = ("hardware", "model", "precision", "input_len", "output_len")
    return OfflineRun(
        id=row.id,
        family=(case.replica.device.key, version),
        case=(version, *(values[name] for name in names)),
        hardware=case.replica.device.key,
        model=values["model"].rpartition("/")[2],
        replica=case.replica,
        input_tokens=case.traffic.input_tokens,
        output_tokens=case.traffic.output_tokens,
        tok_s=tok_s,
    )
