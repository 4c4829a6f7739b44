"""A machine with Neuron devices, by the word of AWS's tools alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.hardware.neuron.tools import listing


def pretend_trn2(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this machine be a trn2.48xlarge that nobody uses, while the test runs."""
    folder.mkdir()
    devices, program = folder / "devices.json", folder / "neuron-ls"
    devices.write_text(listing(*[{"instance_type": "trn2.48xlarge"}] * 16))
    program.write_text(f'#!/bin/sh\nexec cat "{devices}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
