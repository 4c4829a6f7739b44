"""Documents that are generated, or that must load, do not drift from the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from replicore.spec import load_spec
from replicore.spec.docs import configuration_page
from replicore.spec.keys import keys, sections
from replicore.wording import pluralize

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.toml"))


def result(name: str) -> Any:
    return msgspec.json.decode((ROOT / "benchmarks" / "results" / f"{name}.json").read_bytes())


def readme_lines(words: str) -> str:
    """Return the lines of README.md with these words in them."""
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if words in line)


def says(lines: str, figure: str) -> bool:
    return re.search(rf"(?<![\d.]){re.escape(figure)}(?!\.?\d)", lines) is not None


def test_configuration_page_is_what_the_model_generates() -> None:
    written = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")

    remedy = "run `python -m replicore.spec.docs > docs/configuration.md`"
    assert written == configuration_page(), remedy


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example_is_a_valid_spec_named_after_its_use(path: Path) -> None:
    spec = load_spec(path, environ={})

    assert path.stem.startswith(spec.name)


def test_every_engine_that_needs_a_spec_has_an_example() -> None:
    kinds = {load_spec(path, environ={}).engine.kind for path in EXAMPLES}

    assert {"llamacpp", "neuron", "sim", "remote"} <= kinds


def test_every_section_and_every_key_is_described() -> None:
    undescribed = [s.dotted for s in sections() if not s.description]
    undescribed += [key.dotted for key in keys().values() if not key.description]

    assert undescribed == []


def test_every_key_without_a_default_has_an_example() -> None:
    assert [key.dotted for key in keys().values() if key.example is None] == []


def test_readme_has_no_placeholder_left() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")

    assert re.findall(r"\b(?:DEMO_OUTPUT|DEMO_WHERE|STARTUP|DISCONNECT)\b", text) == []


def test_readme_has_the_rates_that_the_demo_measured() -> None:
    for label, summary in result("demo")["layouts"].items():
        replicas, _, tp = label.partition("x")
        row = readme_lines(f"{replicas} × {pluralize(int(tp), 'core')}")

        assert says(row, f"{summary['total']['output_tokens_per_s']['value']:.1f}")


def test_readme_has_the_start_up_time_that_was_measured() -> None:
    median = result("startup")["settings"]["ready_median_s"]

    assert says(readme_lines("`benchmarks/startup.py`"), f"{median:.1f} s")


def test_readme_has_the_longest_time_that_an_abandoned_prompt_held_its_slot() -> None:
    rows = [row for row in result("disconnect")["rows"] if row["phase"] == "prefill"]
    longest = max(row["freed_max_ms"] for row in rows)

    assert says(readme_lines("`benchmarks/disconnect.py`"), f"{longest:.0f} ms")


def test_readme_has_what_became_of_streams_whose_engine_was_killed() -> None:
    rows = [row for row in result("resume")["rows"] if "runs" in row]
    line = readme_lines("`benchmarks/resume.py`")

    assert {row["lost"] for row in rows} == {0}
    assert says(line, f"{rows[0]['runs']} times")
    assert says(line, f"0 of {rows[0]['streams']:,} each")
    assert says(line, f"{max(row['added_max_s'] for row in rows):.1f} s")


def test_readme_has_what_the_gateway_costs_two_real_replicas() -> None:
    *_, found = result("passthrough")["rows"]

    row = readme_lines("`benchmarks/passthrough.py`")
    assert says(row, f"{found['ratio_mean']:.2f}")
    assert says(row, f"{found['ratio_low']:.2f} to {found['ratio_high']:.2f}")


def test_readme_has_the_errors_of_load_generators_that_were_measured() -> None:
    rows = [row for row in result("bench_accuracy")["rows"] if row["streams"] == 500]

    line = readme_lines("`benchmarks/bench_accuracy/`")
    for row in rows:
        if row["tool"] not in ("replicore", "replicore, as read"):
            assert says(line, f"{row['ttft_p50_ms']:.0f}")
    (ours,) = [row for row in rows if row["tool"] == "replicore"]
    assert says(line, f"{ours['ttft_p50_ms']:.2f}")
    assert says(line, f"{ours['itl_p99_ms']:.1f}")


def test_readme_has_the_time_to_the_first_request_that_was_measured() -> None:
    median = result("first_request")["settings"]["median_s"]

    assert says(readme_lines("`benchmarks/first_request.py`"), f"{median:.2f} s")


def test_readme_has_the_planners_errors_that_were_measured() -> None:
    errors = {
        (row["split"], row["metric"]): row["median"]
        for row in result("planner_accuracy")["rows"]
        if row["table"] == "errors"
        and (row["models"], row["hardware"], row["engine"]) == ("dense", "all", "all")
    }

    line = readme_lines("`benchmarks/planner_accuracy.py`")
    for metric in ("TPOT", "TTFT", "throughput"):
        assert says(line, f"{100 * errors['half held out', metric]:.1f}")
    assert says(line, f"{100 * errors['one device and engine out', 'TPOT']:.1f} %")


def test_readme_has_the_planners_time_to_its_answer() -> None:
    median = result("planner_speed")["settings"]["median_answer_s"]

    assert says(readme_lines("`benchmarks/planner_speed.py`"), f"{median:.2f} s")


def test_readme_has_how_long_a_simulated_fleet_took() -> None:
    seconds = [
        row["cpu_s"]
        for row in result("fleet_simulation")["rows"]
        if row["part"] == "speed" and row["replicas"] == 100
    ]

    line = readme_lines("`benchmarks/fleet_simulation/`")
    assert says(line, f"{min(seconds):.1f} to {max(seconds):.1f} s")
