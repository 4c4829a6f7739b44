from __future__ import annotations

import pytest

from replicore.deploy.exits import Exit, with_last_lines


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (Exit(code=1), "exited with code 1"),
        (Exit(code=0), "exited with code 0"),
        (Exit(signal="SIGSEGV"), "was killed by SIGSEGV"),
        (Exit(), "was killed with its keeper"),
    ],
)
def test_exit_reads_as_a_clause(end: Exit, expected: str) -> None:
    assert str(end) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory.", "the device's memory is full"),
        ("OSError: [Errno 98] Address already in use", "another process listens on its port"),
        ("ERROR NRT:nrt_init  failed", "neuron-ls"),
        ("/usr/bin/python: No module named vllm", "engine.python"),
    ],
)
def test_known_last_line_gives_a_hint(line: str, expected: str) -> None:
    end = Exit(code=1, last_lines=("loading", line))

    assert expected in (end.hint or "")


def test_the_reason_may_be_in_the_log_above_the_last_lines() -> None:
    symptom = "RuntimeError: Engine core initialization failed. See root cause above."
    reason = "ValueError: No available memory for the cache blocks."
    end = Exit(code=1, last_lines=(symptom,), log_tail=f"{reason}\n...\n{symptom}")

    assert "the weights leave no memory for a KV cache" in (end.hint or "")


def test_the_last_lines_go_before_the_log() -> None:
    end = Exit(code=1, last_lines=("No module named vllm",), log_tail="No space left on device")

    assert "engine.python" in (end.hint or "")


def test_sigkill_that_nobody_sent_points_to_the_kernel() -> None:
    assert "out-of-memory killer" in (Exit(signal="SIGKILL").hint or "")


def test_unknown_end_has_no_hint() -> None:
    assert Exit(code=1, last_lines=("Segmentation of the market failed",)).hint is None


def test_only_exit_code_2_is_a_usage_error() -> None:
    assert [code for code in range(130) if Exit(code=code).is_usage_error] == [2]
    assert not Exit(signal="SIGINT").is_usage_error


def test_last_lines_stand_under_the_sentence() -> None:
    assert with_last_lines("r0 ended", ("one", "two")) == (
        "r0 ended; its last lines:\n  | one\n  | two"
    )


def test_silence_is_said() -> None:
    assert with_last_lines("r0 ended", ()) == "r0 ended; it printed nothing"
