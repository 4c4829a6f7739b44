"""The top of the page: verdict and tiles."""

from __future__ import annotations

from replicore.bench.report.headline import tiles, verdict_box
from replicore.bench.selfcheck.verdict import Kind, Verdict
from replicore.bench.stats.summary import Rate
from tests.unit.bench.report.runs import NOTHING, VALID, row, summary, values


def test_verdict_box_tells_kind_reasons_and_numbers_in_their_units() -> None:
    box = verdict_box(VALID)

    assert 'class="verdict good"' in box
    assert "<strong>VALID</strong>" in box
    assert "<li>chunks were read 0.20 ms after they came (p99)</li>" in box
    assert '<th scope="row">read lag p99</th><td>0.200 ms</td>' in box
    assert '<th scope="row">full share</th><td>99.8%</td>' in box
    assert '<th scope="row">requests</th><td>200</td>' in box


def test_verdict_box_of_a_bad_run_looks_bad() -> None:
    tones = {
        kind: verdict_box(Verdict(kind=kind, reasons=(), numbers={})).split('"')[1]
        for kind in (Kind.TOO_FEW_SAMPLES, Kind.CLIENT_BOUND)
    }

    assert tones == {Kind.TOO_FEW_SAMPLES: "verdict warn", Kind.CLIENT_BOUND: "verdict bad"}


def test_tiles_have_values_units_and_intervals() -> None:
    found = tiles(summary())

    assert '<span class="value">100</span> <span class="unit">tok/s</span>' in found
    assert '<div class="range">90.0–110</div>' in found
    assert "of 200 requests" in found


def test_tile_of_a_refused_percentile_says_why() -> None:
    found = tiles(summary(row(ttft_s=values(0.25, None))))

    assert '<span class="value">≥400</span>' in found
    assert "too few requests for it" in found


def test_tiles_of_a_run_without_answers_say_so() -> None:
    found = tiles(summary(row(ttft_s=NOTHING, output_tokens_per_s=None)))

    assert "nothing was measured" in found
    assert '<span class="value">-</span>' in found


def test_goodput_has_a_tile_only_with_objectives() -> None:
    good = row(attainment=0.9, goodput_per_s=Rate(value=30.0))

    assert "Goodput" not in tiles(summary())
    assert "90.0% of the requests" in tiles(summary(good))


def test_unfinished_requests_are_told_beside_the_failed_ones() -> None:
    assert "of 200 requests, 3 unfinished" in tiles(summary(row(unfinished=3)))
