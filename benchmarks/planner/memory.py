"""How well the planner knows vLLM's memory, on published breakdowns.

    python -m benchmarks.planner.memory --rows ../shared/data/planner_memory_rows.csv

Weights follow from the model alone. Activation has two fitted constants for each era of vLLM: it is
predicted with those that are shipped, and with constants fitted without any row of the model that
is predicted ("held out"). The KV cache is predicted with the latter, so no row from itself.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

from benchmarks.planner.memory_rows import Launch, MemoryRow, launches, read_memory_rows
from replicore.models.infer import anatomy_of
from replicore.planner.memory.activation import Sampler, activation_bytes, sampler_of
from replicore.planner.memory.vllm import max_concurrency, refuse, vllm_rank
from replicore.units import GIB

# Each table's bar: the figure that it is of, and its limit in per cent
BARS = {
    "weights": ("worst", 1.0),
    "kv": ("median", 8.0),
    "activation, held out": ("mean", 10.0),
}

# Models that two constants can be fitted to
_FEWEST = 2

_HIDDEN_BYTES = tuple(tenth / 10 for tenth in range(0, 81, 2))

Table = list[dict[str, Any]]


def memory_report(path: Path) -> dict[str, Any]:
    """Return the tables of a file of rows with their errors, and the launches that were tried."""
    rows, unknown = read_memory_rows(path)
    return {
        "tables": {
            name: _with_errors(table) for name, table in memory_tables(rows).items() if table
        },
        "refusals": [_tried(launch) for row in rows for launch in launches(row)],
        "unknown": unknown,
    }


def memory_tables(rows: Sequence[MemoryRow]) -> dict[str, Table]:
    """Return measured and predicted values, GiB, of each row in each table that it has a value for.

    ``kv`` are concurrent sequences of 16000 tokens. Rows of which no two other models of their era
    are known are not in the tables of fitted constants.
    """
    shipped = {row.id: sampler_of(row.limits.version) for row in rows}
    others = {row.id: _others(row, rows) for row in rows}
    fitted = [row for row in rows if len({other.size for other in others[row.id]}) >= _FEWEST]
    held_out = {row.id: fit_sampler(others[row.id]) for row in fitted}
    recent = [row for row in fitted if row.limits.version >= (0, 17)]
    dense = [row for row in recent if row.is_dense]
    return {
        "weights": _table(rows, {row.id: (row.weights_gib, _weights(row)) for row in rows}),
        "kv": _table(fitted, {row.id: _concurrency(row, held_out[row.id]) for row in fitted}),
        "activation, held out": _activation_table(dense, held_out),
        "activation, shipped": _activation_table(dense, shipped),
        "activation, experts": _activation_table(
            [row for row in recent if not row.is_dense], held_out
        ),
        "activation, before 0.17": _activation_table(
            [row for row in fitted if row not in recent], held_out
        ),
    }


def _others(row: MemoryRow, rows: Iterable[MemoryRow]) -> list[MemoryRow]:
    """Return the dense rows of the same era that are of other models, with an activation."""
    era = sampler_of(row.limits.version)
    return [
        other
        for other in rows
        if other.size != row.size
        and other.is_dense
        and other.activation_gib is not None
        and sampler_of(other.limits.version) == era
    ]


def fit_sampler(rows: Sequence[MemoryRow]) -> Sampler:
    """Return the two constants that fit the rows best, by the mean of relative errors.

    For each candidate of ``hidden_bytes`` the median of what the rows then say of ``logit_bytes``,
    which one odd row does not move.
    """
    shipped = sampler_of(rows[0].limits.version)
    return min(
        (_with_hidden(rows, hidden, shipped) for hidden in _HIDDEN_BYTES),
        key=lambda sampler: fmean(abs(_activation_error(row, sampler)) for row in rows),
    )


def _with_hidden(rows: Iterable[MemoryRow], hidden: float, shipped: Sampler) -> Sampler:
    logit = median(_logit_bytes(row, hidden) for row in rows)
    return Sampler(logit_bytes=logit, hidden_bytes=hidden, keeps_workspace=shipped.keeps_workspace)


def _logit_bytes(row: MemoryRow, hidden: float) -> float:
    model, limits = anatomy_of(row.shape), row.limits
    rest = hidden * limits.max_num_batched_tokens * model.hidden
    return ((row.activation_gib or 0.0) * GIB - rest) / (limits.max_num_seqs * model.vocab)


def _activation_error(row: MemoryRow, sampler: Sampler) -> float:
    return _activation(row, sampler) / (row.activation_gib or 1.0) - 1


def _activation(row: MemoryRow, sampler: Sampler) -> float:
    size = activation_bytes(
        anatomy_of(row.shape),
        tp=row.tp,
        sequences=row.limits.max_num_seqs,
        tokens=row.limits.max_num_batched_tokens,
        sampler=sampler,
    )
    return size / GIB


def _weights(row: MemoryRow) -> float:
    memory = vllm_rank(row.shape, tp=row.tp, device_bytes=row.device_bytes, limits=row.limits)
    return memory.weights / GIB


def _concurrency(row: MemoryRow, sampler: Sampler) -> tuple[float | None, float]:
    """Return (measured, predicted) sequences; measured is None where the row tells no pool."""
    memory = vllm_rank(row.shape, tp=row.tp, device_bytes=row.device_bytes, limits=row.limits)
    sequences = max_concurrency(row.shape, memory, tp=row.tp, tokens=16_000, limits=row.limits)
    each = memory.kv / GIB / sequences if sequences else 1.0
    correction = memory.activation / GIB - _activation(row, sampler)
    predicted = (memory.kv / GIB + correction) / each
    if row.kv_tokens is not None:
        return row.kv_tokens * memory.kv_per_token / GIB / each, predicted
    return (None if row.kv_pool_gib is None else row.kv_pool_gib / each), predicted


def _activation_table(rows: Sequence[MemoryRow], samplers: Mapping[str, Sampler]) -> Table:
    values = {row.id: (row.activation_gib, _activation(row, samplers[row.id])) for row in rows}
    return _table(rows, values)


def _table(rows: Iterable[MemoryRow], values: Mapping[str, tuple[float | None, float]]) -> Table:
    table = []
    for row in rows:
        measured, predicted = values[row.id]
        if measured is not None:
            error = 100 * (predicted / measured - 1)
            table.append(
                {
                    "row": row.id,
                    "model": row.model,
                    "tp": row.tp,
                    "pp": row.limits.pp,
                    "measured": measured,
                    "predicted": round(predicted, 4),
                    "error_percent": round(error, 3),
                }
            )
    return table


def _with_errors(table: Table) -> dict[str, Any]:
    errors = [abs(row["error_percent"]) for row in table]
    return {
        "median": round(median(errors), 3),
        "mean": round(fmean(errors), 3),
        "worst": max(errors),
        "rows": table,
    }


def _tried(launch: Launch) -> dict[str, Any]:
    row = launch.row
    refusal = refuse(
        row.shape,
        tp=launch.tp,
        device_bytes=row.device_bytes,
        max_model_len=launch.max_model_len,
        limits=row.limits,
    )
    return {
        "row": row.id,
        "model": row.model,
        "tp": launch.tp,
        "max_model_len": launch.max_model_len,
        "refused_by_engine": launch.refused,
        "refused_by_plan": refusal is not None,
        "reason": "" if refusal is None else refusal.reason,
    }


def lines(report: Mapping[str, Any]) -> list[str]:
    """Return the report for people, one line a table, then one a refusal."""
    out = [f"{'memory':<26}{'rows':>5}{'median %':>10}{'mean %':>9}{'worst %':>9}  bar"]
    out += [_table_line(name, table) for name, table in report["tables"].items()]
    tried = report["refusals"]
    right = sum(launch["refused_by_engine"] == launch["refused_by_plan"] for launch in tried)
    out.append(f"launches judged as the engine did: {right} of {len(tried)}")
    out += [
        f"  {launch['model']} tp={launch['tp']} refused: {launch['reason']}"
        for launch in tried
        if launch["refused_by_plan"]
    ]
    return out


def _table_line(name: str, table: Mapping[str, Any]) -> str:
    figures = f"{name:<26}{len(table['rows']):>5}"
    figures += f"{table['median']:>10.2f}{table['mean']:>9.2f}{table['worst']:>9.2f}"
    if name not in BARS:
        return figures
    figure, limit = BARS[name]
    verdict = "met" if table[figure] <= limit else "NOT MET"
    return f"{figures}  {figure} at most {limit:g}: {verdict}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=Path, required=True, help="a file of measured rows")
    print("\n".join(lines(memory_report(parser.parse_args().rows))))


if __name__ == "__main__":
    main()
