"""A run's page: everything that must be on it, and nothing that is not known."""

from __future__ import annotations

import re
from dataclasses import replace

from replicore.bench.record import BenchResult, Failure, FailureKind
from replicore.bench.report.notes import notes
from replicore.bench.report.page import run_page
from replicore.bench.stats.objectives import Objectives
from replicore.bench.stats.summary import Summary, summarize
from tests.unit.bench.report.runs import VALID, busy_run, record, run

BUSY = busy_run(seconds=10.0)
COMMAND = ["replicore", "bench", "--url", "http://a;http://b", "-c", "8"]


def page(result: BenchResult, found: Summary | None = None) -> str:
    found = found or summarize(result)
    said = notes(result, found)
    machine = {"cpu": "X1", "versions": {"replicore": "1.0"}}
    return run_page(result, found, VALID, command=COMMAND, notes=said, environment=machine)


PAGE = page(BUSY, summarize(BUSY, slo=Objectives(ttft_s=0.5)))


def headings(text: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", text)


def test_page_has_every_part_in_the_order_of_interest() -> None:
    assert headings(PAGE) == [
        *("Latency", "Over time", "Replicas", "Failures", "The client itself", "How to repeat it")
    ]


def test_page_begins_with_the_verdict() -> None:
    assert PAGE.index("<strong>VALID</strong>") < PAGE.index("<h2>")


def test_page_has_the_exact_command_to_paste() -> None:
    assert "<pre>replicore bench --url 'http://a;http://b' -c 8</pre>" in PAGE


def test_page_says_which_machine_measured() -> None:
    assert "<td>X1</td>" in PAGE
    assert "versions: replicore" in PAGE


def test_page_has_objectives_as_lines_and_goodput() -> None:
    assert "objective 500 ms" in PAGE
    assert "Goodput" in PAGE


def test_page_of_one_replica_has_no_part_of_its_own_for_it() -> None:
    one = replace(busy_run(seconds=10.0, replicas=1), servers=())

    assert "Replicas" not in headings(page(one))


def test_page_of_a_run_in_which_everything_failed_still_says_why() -> None:
    dead = run(
        record(0, failure=Failure(FailureKind.CONNECT, "refused <host>"), chunk_times_s=()),
    )
    text = page(dead)

    assert "refused &lt;host&gt;" in text
    assert "by percentile" not in text


def test_page_of_a_run_that_was_stopped_before_its_first_request_can_be_written() -> None:
    text = page(run(interrupted=True, requests=10))

    assert "interrupted: 0 of 10 requests are over" in text
    assert "Over time" not in headings(text)


def test_page_of_a_simulated_run_says_so_in_its_title() -> None:
    assert "<h1>tiny (simulated)</h1>" in page(run(record(), simulated=True))
