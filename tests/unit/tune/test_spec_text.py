"""The layout in the text of a spec file: changed, with all else as it was."""

from __future__ import annotations

import pytest

from replicore.errors import ConfigError
from replicore.tune.spec_text import with_layout

SIZES = {"replicas": 2, "tp": 4, "batch_size": 8}


def test_values_are_changed_and_comments_stay() -> None:
    before = """\
# of the laptop
[layout]   # cores
# copies
replicas = "auto"  # all that fit
tp=1
batch_size = 4# slots
cores = "0-7"

[slo]
tpot_p99 = "60ms"
"""
    assert (
        with_layout(before, SIZES)
        == """\
# of the laptop
[layout]   # cores
# copies
replicas = 2  # all that fit
tp=4
batch_size = 8# slots
cores = "0-7"

[slo]
tpot_p99 = "60ms"
"""
    )


def test_keys_that_are_missing_come_first_in_the_table() -> None:
    before = '[layout]\ncores = "0-7"\ntp = 1\n'

    assert with_layout(before, SIZES) == (
        '[layout]\nreplicas = 2\nbatch_size = 8\ncores = "0-7"\ntp = 4\n'
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("", "[layout]\ntp = 4\n", id="an empty file"),
        pytest.param("name = 'x'", "name = 'x'\n\n[layout]\ntp = 4\n", id="no newline at the end"),
        pytest.param("[slo]\n", "[slo]\n\n[layout]\ntp = 4\n", id="other tables alone"),
        pytest.param("[layout]", "[layout]\ntp = 4\n", id="a table without a newline"),
    ],
)
def test_table_that_is_not_there_is_added(before: str, after: str) -> None:
    assert with_layout(before, {"tp": 4}) == after


def test_like_keys_of_other_tables_are_left_alone() -> None:
    before = "[layout]\ntp = 1\n[engine.sim]\nbatch_size = 3\n[other]\ntp = 9\n"

    assert with_layout(before, {"tp": 4}) == before.replace("tp = 1", "tp = 4")


def test_line_ends_of_another_system_stay() -> None:
    assert with_layout("[layout]\r\ntp = 1\r\n", {"tp": 4}) == "[layout]\r\ntp = 4\r\n"


# SAD PATH


@pytest.mark.parametrize(
    "before",
    [
        pytest.param("layout.tp = 1\n", id="dotted keys"),
        pytest.param("layout = { tp = 1 }\n", id="an inline table"),
        pytest.param("[layout]\n'tp' = 1\n", id="a quoted key"),
        pytest.param('text = """\n[layout]\ntp = 1\n"""\n', id="a text that looks like it"),
    ],
)
def test_file_that_cannot_be_changed_safely_is_refused(before: str) -> None:
    with pytest.raises(ConfigError, match="cannot be changed without risk") as caught:
        with_layout(before, {"tp": 4})
    assert caught.value.hint == "write it yourself: tp = 4"
