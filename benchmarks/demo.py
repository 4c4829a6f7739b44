"""What ``replicore demo`` prints here, for the README: ``python -m benchmarks.demo``.

Writes ``results/demo.txt``, which the README shows, and ``results/demo.json``, its figures.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.result_file import RESULTS, commit, hardware


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "replicore", "demo", "--results", folder]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        (path,) = (p for p in Path(folder).glob("demo-*.json") if "x" not in p.stem)
        comparison = json.loads(path.read_text())
    comparison |= {"command": ["replicore", "demo"], "commit": commit(), "hardware": hardware()}
    # The last line names the result file.
    lines = [line.rstrip() for line in done.stdout.splitlines()[:-1]]
    (RESULTS / "demo.txt").write_text("\n".join(lines) + "\n")
    (RESULTS / "demo.json").write_text(json.dumps(comparison, indent=1) + "\n")
    print(done.stdout)


if __name__ == "__main__":
    main()
