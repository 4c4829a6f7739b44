from __future__ import annotations

import pytest

from replicore.cli.findings import described, heed, refusal
from replicore.findings import Finding
from tests.integration.deploy.deployments import deployment

ERROR = Finding(level="error", check="a", message="layout.tp: 3 is odd", fix="layout.tp = 4")
BARE = Finding(level="error", check="b", message="nothing works")


def test_one_error_is_told_with_what_to_change() -> None:
    error = refusal([ERROR])

    assert (error.message, error.hint) == ("layout.tp: 3 is odd", "layout.tp = 4")


def test_all_errors_are_told_at_once() -> None:
    assert refusal([ERROR, BARE]).message.split("\n") == [
        "2 things cannot work:",
        "  - layout.tp: 3 is odd; layout.tp = 4",
        "  - nothing works",
    ]


def test_finding_without_a_fix_is_only_its_message() -> None:
    assert described(BARE) == "nothing works"


def test_warnings_go_to_stderr_and_nothing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    heed(deployment(workload__input_tokens__mean="60", workload__input_tokens__stddev="20"))

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("warning: ")
