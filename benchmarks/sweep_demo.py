"""Which layout of the embedded model is best on this machine, as ``replicore sweep`` finds it.

    python -m benchmarks.sweep_demo

Both layouts have eight slots over all cores: two replicas of one core, and one of two. Writes
``results/sweep_demo.json``; the page is in the folder that ``--folder`` names.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.result_file import RESULTS, command, commit, hardware

LAYOUTS = "2x1x4,1x2x8"
LOADS = "1,4,8"
SETTINGS = (
    "workload.input_tokens.mean=64",
    "workload.input_tokens.stddev=8",
    "workload.output_tokens.mean=32",
    "workload.output_tokens.stddev=4",
    "layout.max_model_len=1024",
    "slo.ttft_p99=3s",
    "slo.tpot_p99=200ms",
)
SEED = 4
# Too long for a file that is read by people, and in the runs' own files.
_LEFT_OUT = ("environment", "runs", "notes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--requests", type=int, default=40)
    parser.add_argument("--folder", type=Path, help="kept, and gone on with")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        argv = [sys.executable, "-m", "replicore", "sweep", "-o", str(folder), "--resume"]
        argv += ["--layouts", LAYOUTS, "--concurrency", LOADS, "--seed", str(SEED)]
        argv += ["--repeats", str(options.repeats), "-n", str(options.requests)]
        argv += [word for setting in SETTINGS for word in ("--set", setting)]
        subprocess.run(argv, check=True)
        found = json.loads((folder / "sweep.json").read_text())
    about = {"command": command(), "commit": commit(), "hardware": hardware()}
    versions = found["environment"]["versions"]
    kept = {key: value for key, value in found.items() if key not in _LEFT_OUT}
    result = kept | about | {"versions": versions, "notes": found["notes"]}
    path = RESULTS / "sweep_demo.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(path)


if __name__ == "__main__":
    main()
