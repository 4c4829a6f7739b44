"""Requests held against objectives: each limit, each way to fail, and who is undecided."""

from __future__ import annotations

import pytest

from replicore.bench.record import FailureKind
from replicore.bench.stats.objectives import Objectives, attainment, fluidity, meets
from replicore.errors import UndefinedMetric
from tests.unit.bench.stats.records import failed, record

# TTFT 1.0, TPOT (3 - 1) / 2 = 1.0, E2E 3.0
GOOD = record()


@pytest.mark.parametrize(
    ("limits", "within"),
    [
        (Objectives(), True),
        (Objectives(ttft_s=1.0, tpot_s=1.0, e2e_s=3.0), True),
        (Objectives(ttft_s=0.99, tpot_s=1.0, e2e_s=3.0), False),
        (Objectives(ttft_s=1.0, tpot_s=0.99, e2e_s=3.0), False),
        (Objectives(ttft_s=1.0, tpot_s=1.0, e2e_s=2.99), False),
    ],
)
def test_request_is_good_within_every_limit(limits: Objectives, within: bool) -> None:
    assert meets(GOOD, limits) is within


def test_wait_before_dispatch_counts_against_the_objective_of_an_open_loop() -> None:
    late = record(0.5, intended_s=0.0)

    assert meets(late, Objectives(ttft_s=0.75)) is True
    assert meets(late, Objectives(ttft_s=0.75), since="intended") is False


def test_one_token_has_no_tpot_to_miss() -> None:
    assert meets(record(chunks=(1.0,)), Objectives(ttft_s=1.0, tpot_s=0.001)) is True


@pytest.mark.parametrize("kind", [FailureKind.TIMEOUT, FailureKind.HTTP, FailureKind.CUT])
def test_request_that_failed_is_within_nothing(kind: FailureKind) -> None:
    assert meets(failed(kind, chunks=(0.5,)), Objectives(ttft_s=1.0)) is False


@pytest.mark.parametrize(
    ("chunks", "limits", "verdict"),
    [
        # Cancelled at 4 s, without a token: past a TTFT limit of 3 s, not yet past one of 5 s.
        ((), Objectives(ttft_s=3.0), False),
        ((), Objectives(ttft_s=5.0), None),
        # Its first token came at 2 s: within 3 s, but nobody knows of the rest.
        ((2.0,), Objectives(ttft_s=3.0), None),
        ((2.0,), Objectives(ttft_s=1.0), False),
        ((2.0,), Objectives(e2e_s=3.5), False),
        ((2.0,), Objectives(e2e_s=4.5), None),
    ],
)
def test_unfinished_request_is_out_once_it_is_late_and_undecided_before(
    chunks: tuple[float, ...], limits: Objectives, verdict: bool | None
) -> None:
    cancelled = failed(FailureKind.INTERRUPTED, chunks=chunks, ended_s=4.0)

    assert meets(cancelled, limits) is verdict


def test_attainment_is_the_good_share_of_the_decided() -> None:
    assert attainment([True, False, None, True, None, True]) == 0.75


def test_attainment_of_nothing_decided_is_undefined() -> None:
    assert attainment([None]) is None
    assert attainment([]) is None


def test_tokens_on_pace_are_all_on_time() -> None:
    # Due at 1, 2, 3.
    assert fluidity(GOOD, Objectives(ttft_s=1.0, tpot_s=1.0)) == 1.0


def test_early_tokens_are_slack_for_a_later_stall() -> None:
    # Due at 2, 3, 4, 5: the gap of 3 s after the early ones makes nobody wait.
    early = record(chunks=(1.0, 1.5, 2.0, 5.0))

    assert fluidity(early, Objectives(ttft_s=2.0, tpot_s=1.0)) == 1.0


def test_reader_goes_on_from_a_late_token() -> None:
    # Due at 2, 3; the second comes at 6 and is late. Then due at 7 and 8: both there in time.
    stalled = record(chunks=(1.0, 6.0, 7.0, 8.0))

    assert fluidity(stalled, Objectives(ttft_s=2.0, tpot_s=1.0)) == 0.75


def test_first_token_may_be_late_too() -> None:
    # Due at 0.5, comes at 1; the others follow at the pace. 1 of 3.
    assert fluidity(GOOD, Objectives(ttft_s=0.5, tpot_s=1.0)) == pytest.approx(2 / 3)


def test_without_a_limit_of_ttft_the_first_token_sets_the_pace() -> None:
    assert fluidity(GOOD, Objectives(tpot_s=1.0)) == 1.0


def test_a_chunk_of_several_tokens_is_read_one_by_one() -> None:
    # Four tokens at 1 take the reader to 5; the next at 4.5 is there before.
    coarse = record(chunks=(1.0, 4.5), tokens=(4, 1))

    assert fluidity(coarse, Objectives(tpot_s=1.0)) == 1.0


# SAD PATH


def test_fluidity_without_a_pace_is_undefined() -> None:
    with pytest.raises(UndefinedMetric, match="needs an objective of TPOT"):
        fluidity(GOOD, Objectives(ttft_s=1.0))


def test_fluidity_without_content_is_undefined() -> None:
    with pytest.raises(UndefinedMetric, match="request 3"):
        fluidity(record(chunks=(), index=3), Objectives(tpot_s=1.0))
