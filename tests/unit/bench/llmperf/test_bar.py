"""The progress bar."""

from __future__ import annotations

from io import StringIO

import pytest

from replicore.bench.llmperf.bar import bar_line
from replicore.bench.llmperf.progress import Bar


@pytest.mark.parametrize(
    ("done", "total", "elapsed_s", "line"),
    [
        (0, 10, 0.0, "  0%|          | 0/10 [00:00<?, ?it/s]"),
        (39, 1000, 73.7, "  4%|▍         | 39/1000 [01:13<30:16,  1.89s/it]"),
        (5, 10, 1.0, " 50%|█████     | 5/10 [00:01<00:01,  5.00it/s]"),
        (10, 10, 4000.0, "100%|██████████| 10/10 [1:06:40<00:00, 400.00s/it]"),
        (12, 10, 12.0, "100%|██████████| 12/10 [00:12<00:00,  1.00s/it]"),
    ],
)
def test_bar_shows_share_counts_times_and_pace(
    done: int, total: int, elapsed_s: float, line: str
) -> None:
    assert bar_line(done, total, elapsed_s) == line


def test_bar_that_was_never_drawn_leaves_no_line() -> None:
    out = StringIO()
    Bar(4, out).close()

    assert out.getvalue() == ""


def test_bar_is_drawn_only_when_the_number_has_changed() -> None:
    out = StringIO()
    bar = Bar(4, out, clock=iter([0.0, 1.0, 2.0]).__next__)
    for done in (1, 1, 1, 2):
        bar.show(done)
    bar.close()

    assert out.getvalue().count("\r") == 2
    assert out.getvalue().endswith("2/4 [00:02<00:02,  1.00s/it]\n")
