"""The tables of the page."""

from __future__ import annotations

import re

from replicore.bench.record import Calibration
from replicore.bench.report import html_tables
from replicore.bench.stats.little import Little
from tests.unit.bench.report.runs import record, row, run, summary, values


def lines(table: str) -> list[list[str]]:
    """Return the cells of each row as text, a value and its interval with a space between."""
    rows = re.findall(r"<tr>(.*?)</tr>", table)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line) for line in rows]
    return [[re.sub(r"<.*?>", " ", cell).strip() for cell in line] for line in cells]


def pairs(table: str) -> dict[str, str]:
    return {line[0]: line[1] for line in lines(table)}


def test_latencies_have_each_number_with_its_interval() -> None:
    head, ttft, *_ = lines(html_tables.latencies(row()))

    assert head == ["", "mean", "p50", "p90", "p95", "p99", "p99.9", "values"]
    assert ttft == [
        "Time to first token, ms",
        *("250", "250 225–275", "-", "-", "500 450–550", "-"),
        "200 worth 100",
    ]


def test_latencies_leave_out_what_has_no_values() -> None:
    names = [line[0] for line in lines(html_tables.latencies(row()))]

    assert "Tokens on time, %" not in names
    assert "Rate that one user sees, tok/s" in names


def test_latencies_refuse_what_the_sample_cannot_carry() -> None:
    ttft = lines(html_tables.latencies(row(ttft_s=values(0.25, None))))[1]

    assert ttft[5] == "≥400"


def test_replicas_have_a_row_each_and_the_total_last() -> None:
    table = html_tables.replicas(summary(row(), row("r0"), row("r1", errors=2)))

    assert [line[0] for line in lines(table)] == ["replica", "r0", "r1", "total"]
    assert lines(table)[2][3] == "2"


def test_failures_are_told_with_their_text_escaped() -> None:
    found = summary(errors={"http_503": 2}, error_examples={"http_503": "<busy>"})

    assert "<td>2 requests; the first: &lt;busy&gt;</td>" in html_tables.failures(found)


def test_client_tells_its_delays_and_what_it_kept() -> None:
    law = Little(in_flight=8, arrival_rate_per_s=4, residence_s=2, residual=-0.01, tolerance=0.02)
    found = pairs(html_tables.client(run(record()), summary(little=law)))

    assert found == {
        "send delay": "p50 0.100 ms, p99 1.00 ms",
        "kernel to client": "p99 0.200 ms",
        "full concurrency": "99.8% of the window's time",
        "requests sent per second": "33.3",
        "Little's law": "off by -1.00%, 2.00% is allowed",
    }


def test_client_tells_its_error_against_a_mock() -> None:
    calibration = Calibration(
        streams=8,
        chunks_per_s=800,
        ttft_error_s=0.0005,
        ttft_p99_error_s=0.001,
        gap_p99_error_s=-0.0002,
        stamped=False,
    )
    found = pairs(html_tables.client(run(record(), calibration=calibration), summary()))

    assert found["error against a mock"] == (
        "TTFT p50 +0.500 ms, p99 +1.00 ms, chunk gap p99 -0.200 ms; "
        "8 streams, 800 chunks a second, without kernel stamps"
    )


def test_run_tells_all_that_its_numbers_depend_on() -> None:
    found = pairs(html_tables.run(run(record(), warmup=(record(),)), summary()))

    assert found["seed"] == "0"
    assert found["load"] == "1 request, 1 at a time, 10 tokens in, 3±1 out"
    assert found["warm-up"] == "1 request, not measured"
    assert found["measured window"] == "1.00 s to 9.00 s, steady"


def test_environment_is_flat() -> None:
    found = pairs(html_tables.environment({"cpu": "X", "core_limit": 2, "versions": {"a": "1"}}))

    assert found == {"cpu": "X", "core limit": "2", "versions: a": "1"}
