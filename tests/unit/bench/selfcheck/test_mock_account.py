from __future__ import annotations

import pytest

from replicore.bench.selfcheck.mock.account import Account
from replicore.bench.selfcheck.mock.spread import Spread

NOTHING = Spread(n=0, p50_s=0.0, p99_s=0.0, max_s=0.0)


def two_streams() -> Account:
    """Stream 1 from 0 to 10, stream 2 from 4 to 8, then stream 3 from 9 to 10."""
    account = Account()
    account.begin(0.0, body=1)
    account.begin(4.0, body=2)
    account.end(8.0, whole=True)
    account.begin(9.0, body=2)
    account.end(10.0, whole=True)
    account.end(10.0, whole=False)
    return account


def test_report_counts_streams_bodies_and_what_was_cut() -> None:
    report = two_streams().report(cpu_s=0.25)

    assert (report.streams, report.distinct, report.finished) == (3, 2, 2)
    assert (report.most_in_flight, report.busy_s, report.cpu_s) == (2, 10.0, 0.25)
    assert report.held_share is None


def test_held_share_is_over_the_time_between_first_and_last_moment_with_that_many() -> None:
    # Two in flight from 4 to 8 and from 9 to 10: 5 s of the 6 s from 4 to 10.
    report = two_streams().report(cpu_s=0.0, in_flight=2)

    assert report.held_share == pytest.approx(5 / 6)


def test_held_share_leaves_out_the_time_with_more() -> None:
    # One in flight from 0 to 4 and from 8 to 9, more in between and after.
    report = two_streams().report(cpu_s=0.0, in_flight=1)

    assert report.held_share == pytest.approx(5 / 10)


def test_held_share_is_none_of_the_time_where_so_many_never_were_in_flight() -> None:
    assert two_streams().report(cpu_s=0.0, in_flight=3).held_share == 0.0


def test_report_of_nothing_is_all_zero() -> None:
    report = Account().report(cpu_s=0.0, in_flight=1)

    assert (report.streams, report.busy_s, report.held_share) == (0, 0.0, 0.0)
    assert (report.tokens, report.late, report.gap) == (0, NOTHING, NOTHING)


def test_report_has_what_was_late_and_what_was_sent() -> None:
    account = Account()
    account.late.add(0.001)
    account.late.add(0.002)
    account.ttft.add(0.25)
    account.gap.add(0.5)
    report = account.report(cpu_s=0.0)

    assert report.tokens == 2
    assert (report.late.max_s, report.ttft.max_s, report.gap.max_s) == (0.002, 0.25, 0.5)
