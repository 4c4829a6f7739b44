"""What the corrected mode makes of a run."""

from __future__ import annotations

from typing import Any

from replicore.bench.client.run import Run
from replicore.bench.llmperf.corrected import corrected_outcome
from replicore.bench.llmperf.outcome import Outcome
from replicore.bench.record import FailureKind, RequestRecord
from tests.unit.bench.llmperf.made import failed, options, record


def outcome(*records: RequestRecord, stopped: bool = False, **run: Any) -> Outcome:
    found = Run(
        warmup=(record(dispatched_s=1.0),),
        records=records,
        client=(),
        servers=(),
        stopped=stopped,
        simulated=False,
        processes=1,
    )
    return corrected_outcome(options(run=run), found, None)


def test_time_runs_from_the_first_sending_to_the_last_end_without_the_warm_up() -> None:
    found = outcome(record(), record(index=1, dispatched_s=8.0), record(index=2, ended_s=20.0))

    assert found.elapsed_s == 12.0


def test_run_without_records_took_no_time() -> None:
    assert (outcome().elapsed_s, outcome().entries) == (0.0, ())


def test_run_with_fewer_records_than_asked_timed_out_unless_it_was_stopped() -> None:
    assert outcome(record(), requests=2).timed_out
    assert not outcome(record(), requests=1).timed_out
    assert not outcome(record(), requests=2, stopped=True).timed_out


def test_request_that_ctrl_c_cut_off_has_no_entry() -> None:
    found = outcome(record(), failed(FailureKind.INTERRUPTED, index=1), stopped=True)

    assert (len(found.entries), found.succeeded, found.interrupted) == (1, 1, True)


def test_request_that_outlasts_the_drain_is_an_error() -> None:
    found = outcome(record(), failed(FailureKind.INTERRUPTED, "too late", index=1))

    assert [(one.error_code, one.error_msg) for one in found.entries] == [
        (None, ""),
        (-1, "too late"),
    ]
