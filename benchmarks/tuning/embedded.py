"""The embedded engine tuned on this machine: what each run was predicted to do, and did."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from replicore.planner.files.load import FOLDER_VARIABLE

SETTINGS = (
    "workload.input_tokens.mean=64",
    "workload.output_tokens.mean=64",
    "layout.max_model_len=1024",
)


def tune_embedded(*, budget: int, requests: int) -> dict[str, Any]:
    """Return what a tuning without any calibration of before says."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        argv = [sys.executable, "-m", "replicore", "tune", "-o", str(folder / "tuned")]
        argv += ["--budget", str(budget), "-n", str(requests)]
        argv += [word for setting in SETTINGS for word in ("--set", setting)]
        environ = os.environ | {FOLDER_VARIABLE: str(folder / "calibrations")}
        subprocess.run(argv, check=True, env=environ)
        found: dict[str, Any] = json.loads((folder / "tuned" / "tune.json").read_bytes())
    return {key: found[key] for key in ("verdict", "notes", "layout", "runs")}
