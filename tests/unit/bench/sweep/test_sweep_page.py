"""A sweep as one HTML page."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from replicore.bench.stats.summary import Objectives
from replicore.bench.sweep.entries import Failed
from replicore.bench.sweep.findings import Findings
from replicore.bench.sweep.page import sweep_page
from tests.unit.bench.sweep.made import findings, plan, repeats, run

COMMAND = ["replicore", "sweep", "--set", "model.source=<script>alert(1)</script>"]
SCALED = plan("2x1,1x2", (2, 8), scaling=True)


@pytest.fixture(name="found", scope="module")
def _found() -> Findings:
    runs = [
        *repeats("2x1", [60, 61, 62], concurrency=2),
        *repeats("2x1", [180, 184, 181], concurrency=8, ttft_s=[0.3] * 400, tpot_s=[0.01] * 400),
        *repeats("1x2", [90, 91, 92], concurrency=8, ttft_s=[0.4] * 400, tpot_s=[0.01] * 400),
        *repeats("1x2", [50, 51, 52], concurrency=2),
        *repeats("1x1", [40, 41, 42], concurrency=1),
        *repeats("1x1", [100, 101, 99], concurrency=4),
    ]
    return findings(runs, of=SCALED, slo=Objectives(ttft_s=1.0, tpot_s=0.05))


@pytest.fixture(name="page", scope="module")
def _page(found: Findings) -> str:
    return sweep_page(found, command=COMMAND)


def figures(page: str) -> dict[str, Any]:
    """Return every chart by its title."""
    parts = re.findall(
        r"<strong>([^<]*)</strong>(?:<span>[^<]*</span>)?</figcaption>.*?"
        r'<script type="application/json">(.*?)</script>',
        page,
        re.DOTALL,
    )
    return {title: msgspec.json.decode(data) for title, data in parts}


def test_page_has_the_winner_on_top(page: str) -> None:
    top = page[: page.index("<section>")]

    assert "Best: 2x1 at 8 in flight" in top
    assert "confidence" in top
    assert "TTFT p99 ≤ 1,000 ms and TPOT p99 ≤ 50.0 ms" in top


def test_pareto_chart_has_a_path_for_each_layout_and_the_front(page: str) -> None:
    traces = figures(page)["Output rate against TTFT p50"]["data"]

    assert [trace["name"] for trace in traces] == ["Pareto front", "2x1", "1x2"]
    path = traces[1]
    assert (path["text"], path["x"], path["y"]) == (["2", "8"], [100, 300], [61, 181.667])
    assert "1x1" not in {trace["name"] for trace in traces}


def test_chart_of_the_99th_percentile_has_the_objective_and_only_known_points(page: str) -> None:
    chart = figures(page)["Output rate against TTFT p99"]

    # 60 requests at 2 in flight do not carry a p99.
    assert [trace["text"] for trace in chart["data"]] == [["8"], ["8"]]
    assert chart["layout"]["shapes"][0]["x0"] == 1000


def test_page_has_ratio_and_scaling_with_intervals(page: str) -> None:
    drawn = figures(page)

    ratio = drawn["How much better than the best of each other layout"]["data"][0]
    assert (ratio["y"], ratio["x"]) == (["1x2 at 8"], [pytest.approx(1.996, abs=0.001)])
    efficiency = drawn["Scaling efficiency"]["data"][0]
    assert efficiency["x"] == ["2x1 at 2", "2x1 at 8"]
    assert efficiency["y"][1] == pytest.approx(90.8, abs=0.1)


def test_page_links_the_record_of_every_run(page: str, found: Findings) -> None:
    links = re.findall(r'<a href="([^"]*)">JSON</a>', page)

    assert links == [one.file for one in found.runs]


def test_page_shows_command_and_conditions_as_text(page: str) -> None:
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert(1)" not in page
    assert "model.source" in page


def test_page_without_a_winner_says_why() -> None:
    page = sweep_page(findings([run()], slo=Objectives(ttft_s=0.01)), command=COMMAND)

    assert 'class="verdict bad"' in page
    assert "No layout meets the objectives" in page


def test_page_of_nothing_tells_what_failed() -> None:
    failed = Failed(layout="2x1", repeat=0, message="r0 exited")
    page = sweep_page(findings([], failed=[failed]), command=COMMAND)

    assert "No layout was measured" in page
    assert "2x1 failed: r0 exited" in page


def test_page_of_a_winner_by_one_run_is_no_certainty() -> None:
    page = sweep_page(findings([run("2x1", 150), run("1x2", 100)]), command=COMMAND)

    assert 'class="verdict warn"' in page
