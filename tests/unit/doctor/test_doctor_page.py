"""docs/doctor.md does not drift from the code."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import replicore
from replicore.doctor.docs import known_errors_section

ROOT = Path(replicore.__file__).parent
PAGE = (ROOT.parents[1] / "docs" / "doctor.md").read_text(encoding="utf-8")


def checks() -> set[str]:
    """Return every literal check name of the lints."""
    trees = [ast.parse(path.read_text()) for path in (ROOT / "lints").glob("*.py")]
    words = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.keyword))
    return {
        word.value.value
        for word in words
        if word.arg == "check"
        and isinstance(word.value, ast.Constant)
        and isinstance(word.value.value, str)
    }


def test_page_ends_with_the_known_errors() -> None:
    remedy = "run `python -m replicore.doctor.docs` and put it under Known errors"

    assert PAGE.endswith(known_errors_section()), remedy


@pytest.mark.parametrize("name", sorted(checks()))
def test_page_has_every_lint(name: str) -> None:
    assert f"| {name} |" in PAGE
