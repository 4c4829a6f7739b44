from __future__ import annotations

from typing import Any

from benchmarks.dp_vs_tp import BATCHES, LAYOUTS, LOADS, ratio, rows_of


def cell(layout: str, concurrency: int, rate: float) -> dict[str, Any]:
    return {
        "layout": layout,
        "concurrency": concurrency,
        "rates": {"0": rate, "1": 2 * rate},
        "output_tokens_per_s": {"value": rate},
        "ttft_p50": {"value": 0.1},
        "tpot_p50": {"value": 0.01},
        "errors": 0,
    }


def rows() -> list[Any]:
    """Return the rows of layouts whose rate is ten for each request in flight."""
    cells = [cell(layout, load, 10.0 * load) for layout in LAYOUTS for load in LOADS]
    return list(rows_of("vllm", cells))


def test_each_batch_is_compared_in_both_senses() -> None:
    found = [(row["counted"], row["batch"]) for row in rows()]

    assert found == [(how, batch) for how in ("in flight", "each replica") for batch in BATCHES]


def test_two_copies_have_twice_the_load_where_each_replica_counts() -> None:
    in_flight, each = rows()[0], rows()[len(BATCHES)]

    assert (in_flight["1x2"]["in_flight"], in_flight["2x1"]["in_flight"]) == (1, 1)
    assert (each["1x2"]["in_flight"], each["2x1"]["in_flight"]) == (1, 2)
    assert each["output_tokens_per_s_ratio"]["median"] == 2.0


def test_repeats_are_compared_in_pairs() -> None:
    found = ratio({"0": 10.0, "1": 30.0, "2": 40.0}, {"0": 10.0, "1": 10.0, "2": 20.0})

    assert found == {"median": 2.0, "low": 1.0, "high": 3.0}
