"""Documents that are generated, or that must load, do not drift from the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from replicore.spec import load_spec
from replicore.spec.docs import configuration_page
from replicore.spec.keys import keys, sections

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.toml"))


def test_configuration_page_is_what_the_model_generates() -> None:
    written = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")

    remedy = "run `python -m replicore.spec.docs > docs/configuration.md`"
    assert written == configuration_page(), remedy


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example_is_a_valid_spec_named_after_its_use(path: Path) -> None:
    spec = load_spec(path, environ={})

    assert path.stem.startswith(spec.name)


def test_every_engine_that_needs_a_spec_has_an_example() -> None:
    kinds = {load_spec(path, environ={}).engine.kind for path in EXAMPLES}

    assert {"llamacpp", "neuron", "sim", "remote"} <= kinds


def test_every_section_and_every_key_is_described() -> None:
    undescribed = [s.dotted for s in sections() if not s.description]
    undescribed += [key.dotted for key in keys().values() if not key.description]

    assert undescribed == []


def test_every_key_without_a_default_has_an_example() -> None:
    assert [key.dotted for key in keys().values() if key.example is None] == []
