"""Rows as ``planner_rows.csv`` has them, that follow from known times."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.planner.rows import Row, Values, row_of
from tests.unit.planner.measured import case, observed

LENGTHS = (("128", "1024"), ("1024", "1024"), ("4096", "512"))


def values(tp: int = 2, concurrency: int = 16, **changed: str) -> Values:
    """Return a row's columns; TTFT and TPOT are those of known factors on an H100."""
    lengths: dict[str, Any] = {
        "input_tokens": float(changed.get("input_len", "1024")),
        "output_tokens": float(changed.get("output_len", "1024")),
    }
    seen = observed(case(tp, concurrency, **lengths))
    assert seen.ttft_s is not None
    assert seen.tpot_s is not None
    usual = {
        "row_id": f"A{tp}-{concurrency}-{changed.get('input_len', '1024')}",
        "hardware": "NVIDIA H100 SXM 80GB",
        "tp": str(tp),
        "pp": "1",
        "dp": "1",
        "model": "meta-llama/Llama-3.1-8B-Instruct",
        "precision": "bf16",
        "load": "closed-loop",
        "concurrency": str(concurrency),
        "input_len": "1024",
        "output_len": "1024",
        "ttft_ms": f"{1e3 * seen.ttft_s:.6g}",
        "tpot_ms": f"{1e3 * seen.tpot_s:.6g}",
        "engine": "vllm",
    }
    return {**usual, **changed}


def all_values() -> Iterator[Values]:
    for prompt, output in LENGTHS:
        for tp in (1, 2, 4, 8):
            for concurrency in (1, 8, 32):
                yield values(tp, concurrency, input_len=prompt, output_len=output)


def all_rows() -> list[Row]:
    return [row_of(each) for each in all_values()]


def write(path: Path, rows: Sequence[Values]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path
