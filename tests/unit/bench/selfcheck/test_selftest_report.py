from __future__ import annotations

from dataclasses import replace

import pytest

from replicore.bench.selfcheck.against_mock import Errors, Found
from replicore.bench.selfcheck.mock.account import Report
from replicore.bench.selfcheck.mock.spread import Spread
from replicore.bench.selfcheck.selftest import PaceRow, StreamsRow, TurnsRow
from replicore.cli.selftest import notes, pace_line, parse_streams, streams_table, turns_line
from replicore.errors import ConfigError

LATE = Spread(n=700, p50_s=0.00002, p99_s=0.0004, max_s=0.002)
REPORT = Report(
    streams=7,
    distinct=7,
    finished=7,
    others=0,
    tokens=700,
    most_in_flight=2,
    held_share=0.995,
    began_s=5.0,
    busy_s=4.0,
    cpu_s=1.0,
    late=LATE,
    ttft=LATE,
    gap=LATE,
)
FOUND = Found(
    requests=7,
    chunks_per_s=190.0,
    stamped=Errors(ttft_s=0.0001, ttft_p99_s=0.0002, gap_p99_s=0.0003),
    read=Errors(ttft_s=0.001, ttft_p99_s=0.002, gap_p99_s=0.003),
    read_lag_p99_s=0.0009,
)
ROW = StreamsRow(streams=2, asked=7, found=FOUND, cpu_cores=0.125, mock=REPORT)


def cells(row: StreamsRow) -> list[str]:
    return [str(next(iter(column.cells))) for column in streams_table([row]).columns]


def test_table_has_errors_in_milliseconds_as_read_and_stamped() -> None:
    assert cells(ROW) == [
        *("2", "190", "1.00", "2.00", "3.00", "0.10", "0.20", "0.30"),
        *("0.12", "0.40", "0.25", "99.5%"),
    ]


def test_table_has_no_stamped_errors_where_the_kernel_gives_no_stamps() -> None:
    row = replace(ROW, found=replace(FOUND, stamped=None, read_lag_p99_s=None))

    assert cells(row)[5:8] == ["-", "-", "-"]


def test_notes_say_that_every_request_arrived() -> None:
    assert notes([ROW])[-1] == "every request arrived once"


def test_notes_name_the_loads_that_the_mock_did_not_hold() -> None:
    late = replace(REPORT, late=replace(LATE, p99_s=0.001))
    found = notes([ROW, replace(ROW, streams=500, mock=late)])

    assert found[1].startswith("at 500 streams the mock was late itself")


@pytest.mark.parametrize(
    "report", [replace(REPORT, streams=6), replace(REPORT, distinct=6)], ids=["lost", "doubled"]
)
def test_notes_name_a_load_at_which_requests_were_lost_or_doubled(report: Report) -> None:
    found = notes([replace(ROW, mock=report)])

    assert found[-1].startswith("at 2 streams ")
    assert found[-1].endswith(" 7 were sent")


def test_pace_and_turns_are_told_in_a_sentence_each() -> None:
    pace = PaceRow(
        rate_per_s=1000.0,
        asked=3000,
        arrived=3000,
        distinct=3000,
        send_delay_p50_s=0.0001,
        send_delay_p99_s=0.0015,
        achieved_share=0.9999,
    )

    assert pace_line(pace) == (
        "pace: 99.99% of 1000 requests a second, left 1.50 ms late at p99 (0.10 at p50); "
        "3000 of 3000 arrived, 3000 of them different"
    )
    assert turns_line(TurnsRow(asked=5, arrived=(3, 2))) == (
        "round robin: of 5 requests two mocks got 3 and 2"
    )


def test_streams_are_a_list_of_numbers() -> None:
    assert parse_streams("1, 100,500") == [1, 100, 500]


@pytest.mark.parametrize("text", ["", "0", "1,", "-1", "many", "1;2", "\u00b2"])
def test_what_is_no_list_of_numbers_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a list of numbers from 1 up"):
        parse_streams(text)
