"""Read published serving results, rows of ``planner_rows.csv``, as observations or refusals."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.planner.formats import shape_and_precision
from benchmarks.planner.recipes import MEAN_LENGTH, is_inferencex, kv_bytes, wait_steps
from replicore.hardware.device import Device
from replicore.hardware.devices import find_device
from replicore.models.infer import anatomy_of
from replicore.models.shape import ModelShape
from replicore.models.variants import find_variant
from replicore.planner.memory.vllm import VllmLimits, usual_limits, vllm_rank
from replicore.planner.step.precision import Precision
from replicore.planner.step.replica import Replica
from replicore.planner.step.traffic import Case, Observation, Traffic

Values = Mapping[str, str]

# How the column ``engine`` begins, and the engine's name here.
_ENGINES = {
    "trtllm": "trtllm",
    "tensorrt-llm": "trtllm",
    "nvidia nim": "trtllm",
    "vllm": "vllm",
    "sglang": "sglang",
}

# TensorRT-LLM's ``free_gpu_memory_fraction`` by default.
_TRTLLM_SHARE = 0.9


class RowRefused(ValueError):
    """A row that cannot be predicted; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row: what it is as an observation, or why it is none.

    Attributes:
        id: As the file has it; its first letter is the table's.
        values: All columns.
    """

    id: str
    values: Values = field(repr=False)
    observation: Observation | None = None
    refusal: str = ""

    @property
    def table(self) -> str:
        return self.id[:1]

    @property
    def measured(self) -> Observation:
        """The observation of a row that was not refused.

        Raises:
            RowRefused: It was.
        """
        if self.observation is None:
            raise RowRefused(self.refusal)
        return self.observation

    @property
    def case(self) -> Case:
        return self.measured.case


def read_rows(path: Path) -> list[Row]:
    """Return all rows of a file."""
    return [row_of(values) for values in read_values(path)]


def read_values(path: Path) -> list[Values]:
    """Return the columns of all rows of a file; what a short row lacks is empty."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        return [
            {name: (text or "").strip() for name, text in values.items() if isinstance(name, str)}
            for values in csv.DictReader(file, restval="")
        ]


def row_of(values: Values) -> Row:
    row_id = values.get("row_id", "")
    try:
        return Row(id=row_id, values=values, observation=_observation(values))
    except RowRefused as error:
        return Row(id=row_id, values=values, refusal=str(error))


def number(values: Values, name: str) -> float | None:
    """Return a column's positive number; None where it has none."""
    try:
        value = float(values.get(name, ""))
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def _observation(values: Values) -> Observation:
    tpot_ms, ttft_ms = number(values, "tpot_ms"), number(values, "ttft_ms")
    case = Case(replica=_replica(values), traffic=_traffic(values))
    if tpot_ms is None:
        raise RowRefused("no TPOT to compare with")
    return Observation(
        case=case,
        ttft_s=None if ttft_ms is None else ttft_ms / 1e3,
        tpot_s=tpot_ms / 1e3,
        source=values.get("row_id", ""),
    )


def _replica(values: Values) -> Replica:
    engine, device, shape = _engine(values), _device(values), _shape(values)
    tp, traffic = _tp(values, device), _traffic(values)
    shape, precision = shape_and_precision(values.get("precision", ""), shape, engine, device)
    anatomy = anatomy_of(shape)
    waiting = 0
    if is_inferencex(values.get("notes", "")) and anatomy.experts is None:
        precision = replace(precision, kv_bytes=kv_bytes(engine, device, precision.kv_bytes))
        waiting = wait_steps(engine, tp, traffic)
    return Replica(
        device=device,
        engine=engine,
        anatomy=anatomy,
        precision=precision,
        tp=tp,
        kv_tokens=_kv_tokens(engine, device, shape, precision, tp),
        wait_steps=waiting,
    )


def _engine(values: Values) -> str:
    written = values.get("engine", "").lower()
    found = next((name for begin, name in _ENGINES.items() if written.startswith(begin)), None)
    if found is None:
        raise RowRefused(f"no step model of engine {values.get('engine') or 'unknown'}")
    if re.search(r"speculative decod|\beagle|\bmtp\b", values.get("notes", "").lower()):
        raise RowRefused("speculative decoding")
    if values.get("load", "closed-loop") not in ("", "closed-loop"):
        raise RowRefused(f"load is {values['load']}, not closed-loop")
    return found


def _device(values: Values) -> Device:
    device = find_device(values.get("hardware", ""))
    if device is None:
        raise RowRefused(f"no data sheet of {values.get('hardware') or 'unnamed hardware'}")
    return device


def _shape(values: Values) -> ModelShape:
    shape = find_variant(values["model"]) if values.get("model") else None
    if shape is None:
        raise RowRefused(f"no sizes of {values.get('model') or 'an unnamed model'}")
    return shape


def _tp(values: Values, device: Device) -> int:
    """Return the tensor-parallel degree of the one replica that a row has to be of."""
    tp, pp, dp = (number(values, name) for name in ("tp", "pp", "dp"))
    if tp is None or tp != int(tp):
        raise RowRefused("no tp")
    if (pp or 1) > 1:
        raise RowRefused("pipeline parallel")
    shards = re.search(r"attention-DP=(\d+)", values.get("ep_or_moe_note", ""))
    if shards is not None and int(shards[1]) > 1:
        raise RowRefused("attention is data parallel inside of the engine")
    if (dp or 1) > 1:
        raise RowRefused("several replicas behind one address")
    if "GPU count uncertain" in values.get("notes", ""):
        raise RowRefused("the source is not sure of the number of GPUs")
    if device.cores is not None and tp > device.cores:
        raise RowRefused(f"tp spans machines of {device.cores} {device.key}")
    return int(tp)


def _traffic(values: Values) -> Traffic:
    concurrency = number(values, "concurrency")
    if concurrency is None:
        raise RowRefused("no concurrency")
    prompt, output = number(values, "input_len"), number(values, "output_len")
    if prompt is None or output is None:
        raise RowRefused("no lengths")
    length = MEAN_LENGTH if is_inferencex(values.get("notes", "")) else 1.0
    return Traffic(
        input_tokens=prompt * length,
        output_tokens=max(1.0, output * length),
        concurrency=concurrency,
    )


def _kv_tokens(
    engine: str, device: Device, shape: ModelShape, precision: Precision, tp: int
) -> float | None:
    """Return what engines find room for by their defaults, those that the rows do not tell."""
    if device.memory_bytes is None:
        return None
    sequences, tokens = usual_limits(device.memory_bytes)
    limits = VllmLimits(
        max_num_seqs=sequences, max_num_batched_tokens=tokens, kv_element_bytes=precision.kv_bytes
    )
    memory = vllm_rank(shape, tp=tp, device_bytes=device.memory_bytes, limits=limits)
    room = memory.kv
    if engine == "trtllm":
        # Its share is of what weights and workspace leave, not of the device.
        room = round(_TRTLLM_SHARE * (device.memory_bytes - memory.weights - memory.activation))
    if room <= 0:
        raise RowRefused("weights do not fit the memory")
    return room / memory.kv_per_token
