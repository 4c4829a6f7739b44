"""The printed block."""

from __future__ import annotations

from replicore.bench.llmperf.block import failure_lines, result_lines
from replicore.bench.llmperf.options import Mode
from replicore.bench.llmperf.summary import METRICS, results
from tests.unit.bench.llmperf.made import entry, options

BLOCK = """\
Results for token benchmark for tiny queried with the openai api.

inter_token_latency_s
    p25 = 0.1
    p50 = 0.1
    p75 = 0.1
    p90 = 0.1
    p95 = 0.1
    p99 = 0.1
    mean = 0.1
    min = 0.1
    max = 0.1
    stddev = 0.0
"""


def test_block_begins_with_the_title_and_the_first_metric() -> None:
    lines = result_lines(options(), results([entry(), entry()], elapsed_s=4.0))

    assert "\n".join(lines).startswith(BLOCK)


def test_block_has_every_metric_and_ends_with_the_totals() -> None:
    lines = list(result_lines(options(), results([entry(), entry()], elapsed_s=4.0)))

    assert [line for line in lines if line in METRICS] == list(METRICS)
    assert "    min = 100" in lines
    assert lines[-4:] == [
        "Number Of Errored Requests: 0",
        "Overall Output Throughput: 4.0",
        "Number Of Completed Requests: 2",
        "Completed Requests Per Minute: 30.0",
    ]


def test_old_modes_print_the_stray_backslash() -> None:
    lines = result_lines(options(mode=Mode.MAIN), results([entry()], elapsed_s=1.0))

    assert next(lines).startswith("\\Results for token benchmark")


def test_error_codes_are_printed_where_there_are_errors() -> None:
    found = results([entry(), entry(error_code=429)], elapsed_s=1.0)
    lines = list(result_lines(options(), found))
    place = lines.index("Number Of Errored Requests: 1")

    assert lines[place + 1 : place + 3] == ["Error Code Frequency", "{429.0: 1}"]


def test_each_failed_request_prints_its_message_and_its_code() -> None:
    entries = [
        entry(),
        entry(error_code=500, error_msg="boom"),
        entry(error_code=-1, error_msg="x"),
    ]

    assert list(failure_lines(entries)) == [
        *("Warning Or Error: boom", "500"),
        *("Warning Or Error: x", "-1"),
    ]
