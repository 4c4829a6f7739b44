"""Where every benchmark writes what it found: figures with all that is needed to repeat them."""

from __future__ import annotations

import json
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"

Row = Mapping[str, object]


def write_result(
    name: str,
    rows: Sequence[Row],
    *,
    settings: Row | None = None,
    packages: Sequence[str] = (),
    folder: Path = RESULTS,
) -> Path:
    """Write ``<folder>/<name>.json`` and return its path.

    Args:
        rows: The figures; units are in the names (``ttft_p50_s``).
        settings: What was the same for all rows: repeats, seed, sizes.
        packages: Installed distributions whose versions the figures depend on.
    """
    document = {
        "name": name,
        "command": command(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "hardware": hardware(),
        "versions": {"python": platform.python_version()}
        | {package: metadata.version(package) for package in packages},
        "settings": settings or {},
        "rows": rows,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path


def command() -> str:
    """Return the command line as one would type it in the project's root.

    Absolute paths are of the machine that measured, and say nothing to anybody else.
    """
    main = sys.modules["__main__"].__spec__
    name = main.name.removesuffix(".__main__") if main is not None else ""
    program = ["-m", name] if name else [Path(sys.argv[0]).name]
    given = ["PATH" if Path(word).is_absolute() else word for word in sys.argv[1:]]
    return shlex.join(["python", *program, *given])


def commit() -> str:
    """Return the commit's hash, with ``+changes`` where the tree differs from it."""
    head = _git("rev-parse", "--short=12", "HEAD")
    changed = _git(
        "status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/results"
    )
    return f"{head}+changes" if changed else head


def _git(*arguments: str) -> str:
    argv = ["git", "-C", str(ROOT), *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=10)
    return done.stdout.strip() or ("unknown" if done.returncode else "")


def hardware() -> dict[str, object]:
    return {
        "cpu": cpu_name(),
        "cores": len(psutil.Process().cpu_affinity() or ()),
        "memory_bytes": psutil.virtual_memory().total,
        "kernel": platform.release(),
    }


def cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.machine()
