"""Captured and documented output of AWS's tools, where this checkout has it."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[5] / "shared" / "data" / "neuron-samples"

needs_samples = pytest.mark.skipif(
    not FOLDER.exists(), reason="the samples of neuron-ls are not in ../shared/data"
)


def sample(name: str) -> str:
    return (FOLDER / name).read_text()
