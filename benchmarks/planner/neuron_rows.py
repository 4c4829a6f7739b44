"""Read published results of Trainium and Inferentia as observations or refusals.

Rows are those of ``neuron_perf.csv``, or of tables F and N of ``planner_rows.csv``: these tell
less.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.planner.rows import Row, RowRefused, Values, number, read_values
from replicore.hardware.device import Device
from replicore.hardware.devices import devices
from replicore.models.formats import in_format
from replicore.models.infer import anatomy_of
from replicore.models.variants import find_variant
from replicore.planner.step.precision import Precision
from replicore.planner.step.replica import Replica, StaticBatch
from replicore.planner.step.traffic import Case, Observation, Traffic

ENGINE = "neuron"

# Prompts are padded to the next of these lengths where a server has buckets, its default.
_SHORTEST_BUCKET = 128

# Columns of ``planner_rows.csv`` by what ``neuron_perf.csv`` calls them.
_COLUMNS = {
    "instance": "hardware",
    "framework": "engine",
    "throughput_tok_s": "out_tok_s",
    "load_mode": "load",
}

_MEANINGS = {
    "batch_per_replica": "size of the compiled batch",
    "seq_len": "compiled length",
    "input_len": "length of the prompts",
    "output_len": "length of the outputs",
}

_DEVICE = re.compile(r"\b(trn\d|inf\d)")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def read_neuron(path: Path) -> list[Row]:
    """Return the rows of a file that are of Neuron; of ``neuron_perf.csv`` all."""
    rows = [_renamed(values) for values in read_values(path)]
    return [neuron_row(values) for values in rows if "hardware" not in values or _is_neuron(values)]


def neuron_row(values: Values) -> Row:
    row_id = values.get("row_id", "")
    try:
        return Row(id=row_id, values=values, observation=_observation(values))
    except RowRefused as error:
        return Row(id=row_id, values=values, refusal=str(error))


def replicas(row: Row) -> int:
    """Return how many replicas a row's throughput is of."""
    return int(number(row.values, "dp") or 1)


def _is_neuron(values: Values) -> bool:
    return _DEVICE.search(values["hardware"]) is not None


def _renamed(values: Values) -> Values:
    """Return a row of ``planner_rows.csv`` with the columns of ``neuron_perf.csv`` besides."""
    if "hardware" not in values:
        return values
    renamed = {ours: values.get(theirs, "") for ours, theirs in _COLUMNS.items()}
    kind = "p50" if values.get("ttft_stat") == "p50" else "mean"
    renamed |= {f"{name}_{kind}_ms": values.get(f"{name}_ms", "") for name in ("ttft", "tpot")}
    if values.get("load") == "static-batch":
        lengths = [number(values, name) or 0.0 for name in ("input_len", "output_len")]
        renamed |= {
            "batch_per_replica": values.get("concurrency", ""),
            "seq_len": f"{sum(lengths):.0f}",
        }
    return {**values, **renamed}


@dataclass(frozen=True, slots=True)
class _Rule:
    """Rows that are no observation of a step, and why."""

    reason: str
    applies: Callable[[Values], bool]


def _says(column: str, pattern: str) -> Callable[[Values], bool]:
    compiled = re.compile(pattern, re.IGNORECASE)
    return lambda values: compiled.search(values.get(column, "")) is not None


_RULES = (
    _Rule("no Neuron device", lambda values: _DEVICE.search(values.get("instance", "")) is None),
    _Rule("profiler page, no serving result", _says("quality", "^C")),
    _Rule("counts input and output tokens", _says("throughput_kind", "^total")),
    _Rule("embedding", _says("notes", "^embedding")),
    _Rule("speculative decoding", _says("model", r"\+ ?\S+ ?(draft|\()|speculat|eagle")),
    _Rule("speculative decoding", _says("notes", r"speculative decod")),
    _Rule("fused kernels that no other row has", _says("model", "fused")),
    _Rule("open loop", _says("load_mode", "^(asynchronous|open-loop)")),
    _Rule("samples on the CPU", _says("notes", "CPU sampling")),
    _Rule("chunked prefill", _says("notes", "^chunked prefill")),
    _Rule("percentiles of the slowest only", _says("throughput_kind", "p99")),
)


def _observation(values: Values) -> Observation:
    refusal = next((rule.reason for rule in _RULES if rule.applies(values)), None)
    if refusal is not None:
        raise RowRefused(refusal)
    tpot_s = _seconds(values, "tpot")
    if tpot_s is None:
        raise RowRefused("no TPOT to compare with")
    replica, traffic = _replica(values), _traffic(values)
    known = not _says("notes", "users assumed")(values) or traffic.concurrency == 1
    return Observation(
        case=Case(replica=replica, traffic=traffic),
        ttft_s=_seconds(values, "ttft") if known else None,
        tpot_s=tpot_s,
        source=values.get("row_id", ""),
    )


def _replica(values: Values) -> Replica:
    device = _device(values)
    shape = find_variant(values.get("model", "") or "-")
    if shape is None:
        raise RowRefused(f"no sizes of {values.get('model') or 'an unnamed model'}")
    return Replica(
        device=device,
        engine=ENGINE,
        anatomy=anatomy_of(in_format(shape, _weights(values.get("precision", "")))),
        # Weights of fewer bits are widened before they are multiplied.
        precision=Precision(),
        tp=int(_required(values, "tp")),
        static=_static(values),
    )


def _weights(precision: str) -> str:
    """Return the format of the weights in memory; all but one kind of rows name 16 bits."""
    if "dequantised" in precision:
        return "bf16"
    return "int8" if "weights int8" in precision else "bf16"


def _device(values: Values) -> Device:
    found = _DEVICE.search(values["instance"])
    device = devices().get(found[1]) if found is not None else None
    if device is None:
        raise RowRefused(f"no data sheet of {values['instance']}")
    return device


def _static(values: Values) -> StaticBatch:
    length, prompt = int(_required(values, "seq_len")), _required(values, "input_len")
    together = _together(values)
    return StaticBatch(
        batch_size=int(_required(values, "batch_per_replica")),
        max_model_len=length,
        prompt_tokens=None if together else min(length, _bucket(prompt)),
        together=together,
    )


def _together(values: Values) -> bool:
    """AWS's tables and NxDI's own script measure one batch after another; servers do not."""
    return re.search("NeuronX|native", values.get("framework", "")) is not None


def _bucket(tokens: float) -> int:
    bucket = _SHORTEST_BUCKET
    while bucket < tokens:
        bucket *= 2
    return bucket


def _traffic(values: Values) -> Traffic:
    users = _first_number(values, "concurrency")
    if users is None or _says("notes", "one request at a time")(values):
        users = 1.0 if users is not None else _users_by_load(values)
    return Traffic(
        input_tokens=_required(values, "input_len"),
        output_tokens=max(1.0, _required(values, "output_len")),
        concurrency=max(1.0, users / (number(values, "dp") or 1)),
    )


def _users_by_load(values: Values) -> float:
    if "single user" in values.get("notes", ""):
        return 1.0
    raise RowRefused("no concurrency")


def _required(values: Values, name: str) -> float:
    found = _first_number(values, name)
    if not found:
        raise RowRefused(f"no {_MEANINGS.get(name, name)}")
    return found


def _first_number(values: Mapping[str, str], name: str) -> float | None:
    """``1500 (var 150)`` is 1500, and ``512 asked, 558 got`` is 512."""
    found = _NUMBER.search(values.get(name, ""))
    return float(found[0]) if found is not None else None


def _seconds(values: Values, name: str) -> float | None:
    # A mean may have the cold start of the first request in it.
    for kind in ("p50", "mean"):
        found = _first_number(values, f"{name}_{kind}_ms")
        if found:
            return found / 1e3
    return None
