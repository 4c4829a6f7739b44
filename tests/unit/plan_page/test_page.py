"""The page of a plan."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

from replicore.plan_page.page import plan_page
from replicore.planner.plan import Plan
from replicore.planner.prediction.residual import FEATURES
from replicore.planner.question import Slo
from tests.unit.plan_page.plans import outcome, plan, refusal, service, wide_plan

SLO = Slo(ttft_p99_s=0.2, tpot_p99_s=0.02)


def charts(found: Plan) -> dict[str, dict[str, Any]]:
    """Return the charts by their title."""
    text = plan_page(found)
    titles = re.findall(r"<figcaption><strong>(.*?)</strong>", text)
    data = re.findall(r'<script type="application/json">(.*?)</script>', text, re.DOTALL)
    return dict(zip(titles, map(json.loads, data), strict=True))


def names(chart: dict[str, Any]) -> list[str]:
    return [trace["name"] for trace in chart["data"]]


def test_page_starts_with_the_recommendation() -> None:
    found = plan(outcome(8, 1, 64), outcome(1, 8, 64))

    text = plan_page(found, command="replicore plan a.toml --html a.html")

    assert "<h1>Plan for llama-8b</h1>" in text
    assert f"<strong>8 x tp 1, batch size 64</strong><div>{found.reason}</div>" in text
    assert text.index('class="verdict good"') < text.index("<h2>")
    assert "<li>Calibrated from: 1,060 published measurements of vllm on h100.</li>" in text
    assert "replicore plan a.toml --html a.html" in text


def test_page_says_where_no_layout_is_within_the_limits() -> None:
    assert 'class="verdict warn"' in plan_page(plan(outcome(8, 1, 64), feasible=False))


def test_page_without_a_layout_that_runs_has_the_reasons_and_no_chart() -> None:
    found = plan(refusal(1, 1, 1, "16 GiB of weights are more than 8 GiB"))

    assert charts(found) == {}
    text = plan_page(found)
    assert 'class="verdict bad"><strong>no layout</strong>' in text
    assert "16 GiB of weights are more than 8 GiB" in text


def test_rate_is_drawn_against_the_means_where_nothing_is_limited() -> None:
    found = charts(wide_plan())

    assert list(found)[:2] == ["Output rate against TTFT", "Output rate against TPOT"]
    assert found["Output rate against TTFT"]["layout"]["shapes"] == []


def test_rate_is_drawn_against_what_is_limited_and_the_feasible_region_is_shaded() -> None:
    chart = charts(wide_plan(slo=SLO))["Output rate against TTFT p99"]

    region, edge = chart["layout"]["shapes"]
    assert (region["type"], region["x1"], edge["x0"]) == ("rect", 200, 200)
    assert chart["layout"]["annotations"][0]["text"] == "limit 200 ms"


def test_layouts_have_the_colour_of_their_tp_the_size_of_their_batch_and_a_star() -> None:
    chart = charts(wide_plan(slo=SLO))["Output rate against TPOT p99"]

    assert names(chart) == ["Pareto front", "tp 1", "tp 2", "tp 4", "tp 8", "pick: 8x1x64"]
    tp_1, star = chart["data"][1], chart["data"][-1]
    # 8 numbers of replicas with 4 batch sizes; those of 64 are too likely to break the limit
    assert tp_1["marker"]["symbol"] == ["circle"] * 24 + ["circle-open"] * 8
    assert sorted(set(tp_1["marker"]["size"])) == [5.0, 8.4, 11.8, 15.2]
    assert star["marker"]["symbol"] == "star"


def test_front_rises_with_the_latency_and_has_intervals() -> None:
    front = charts(wide_plan())["Output rate against TPOT"]["data"][0]

    assert front["x"] == sorted(front["x"])
    assert front["y"] == sorted(front["y"])
    assert min(front["error_x"]["array"] + front["error_y"]["arrayminus"]) > 0


def test_label_of_a_point_has_everything_that_is_predicted() -> None:
    chart = charts(plan(outcome(2, 4, 16), slo=SLO))["Output rate against TPOT p99"]

    (label,) = chart["data"][1]["text"]
    assert label.startswith("<b>2x4x16</b>: 8 cores busy<br>output 8,488 (7,860–9,167) tok/s")
    for part in ("TTFT 30.2", "TPOT 3.77", "p99", "goodput", "probability 100 %", "mostly weights"):
        assert part in label


def test_memory_is_stacked_to_the_limit_for_the_best_of_each_tp() -> None:
    chart = charts(wide_plan())["Memory of one core"]

    parts = {trace["name"]: trace["y"] for trace in chart["data"]}
    assert parts["weights"] == [16, 8, 4, 2]
    assert parts["limit"] == [79] * 4
    held = ("weights", "KV cache", "activation", "overhead", "left")
    assert [sum(parts[name][at] for name in held) for at in range(4)] == [79] * 4


def test_costs_of_each_tp_add_up_to_the_whole() -> None:
    chart = charts(wide_plan())["Where the time of a request goes"]

    totals = [sum(column) for column in zip(*(trace["y"] for trace in chart["data"]), strict=True)]
    assert [round(total, 3) for total in totals] == [100] * 4


def test_layouts_too_busy_for_a_ttft_are_left_out_and_counted() -> None:
    busy = replace(service(8, 1, 64), ttft_s=None)

    text = plan_page(plan(outcome(1, 8, 4), outcome(8, 1, 64, busy)))

    assert "1 are so busy that no TTFT can be told, and are left out." in text


def test_extrapolation_is_warned_of_before_the_charts() -> None:
    beyond = service(8, 1, 64, beyond=("tp", "concurrency"))

    text = plan_page(plan(outcome(8, 1, 64, beyond), outcome(1, 8, 4)))

    assert "The pick is beyond what was calibrated, in tp, concurrency" in text
    assert "1 of 2 layouts are beyond what was calibrated." in text


def test_plan_of_a_device_that_nobody_measured_says_so_once() -> None:
    unknown = service(8, 1, 64, beyond=FEATURES)

    text = plan_page(plan(outcome(8, 1, 64, unknown)))

    assert "it is data sheets and other devices that speak" in text
    assert "beyond what was calibrated" not in text.partition("<h2>")[0]


def test_plan_whose_layouts_are_all_too_busy_has_no_chart_of_ttft() -> None:
    found = plan(outcome(8, 1, 64, replace(service(8, 1, 64), ttft_s=None)))

    assert "Output rate against TTFT" not in charts(found)
    assert "All are too busy for a TTFT to be told." in plan_page(found)


def test_memory_of_threads_is_their_replicas() -> None:
    found = plan(outcome(8, 1, 64))
    cores = replace(found.question.cores, rank_cores=None)

    titles = charts(replace(found, question=replace(found.question, cores=cores)))

    assert "Memory of one replica" in titles


def test_refusals_changes_and_the_question_are_tables() -> None:
    text = plan_page(wide_plan(slo=SLO))

    assert "tp 3 does not divide the 32 attention heads" in text
    assert '<th scope="row">a TPOT limit of 10 ms</th><td>4x2x16</td>' in text
    assert "TTFT p99 200 ms, TPOT p99 20.0 ms; a risk of 5.0% is accepted" in text
    assert "1,024 ± 128 tokens" in text


def test_names_are_text_and_no_markup() -> None:
    text = plan_page(plan(outcome(1, 1, 1)), command="replicore plan '<script>alert(1)</script>'")

    assert "<script>alert" not in text
