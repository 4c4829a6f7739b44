"""A run as a file: one JSON document with everything that its numbers depend on."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import msgspec

from replicore import __version__
from replicore.bench.record import BenchResult, RequestRecord
from replicore.bench.selfcheck.verdict import Verdict
from replicore.bench.stats.summary import Summary
from replicore.errors import ConfigError
from replicore.files import write_atomically
from replicore.hardware.cpu import CpuHardware

SCHEMA = "replicore-bench/2"

# Decimals of times in files: the clock's own noise is larger than a microsecond.
_DECIMALS = 6
_TIMES = ("chunk_times_s", "chunk_lags_s")


def document(
    name: str,
    result: BenchResult,
    summary: Summary,
    *,
    command: Sequence[str],
    notes: Sequence[str],
    verdict: Verdict | None = None,
    records_file: Path | None = None,
) -> bytes:
    """Return the JSON document of a run: indented, but each request on a line of its own.

    Args:
        name: Of the deployment or server that was measured.
        records_file: Where the records are; None puts them into the document.
    """
    run: dict[str, object] = msgspec.to_builtins(replace(result, warmup=(), records=()))
    del run["records"]
    fields: dict[str, object] = {
        "schema": SCHEMA,
        "name": name,
        "command": list(command),
        "run": {**run, "warmup": len(result.warmup)},
        "environment": environment(),
        "verdict": verdict,
        "summary": summary,
        "notes": list(notes),
    }
    if records_file is not None:
        return _indented({**fields, "records_file": str(records_file)}) + b"\n"
    head = _indented(fields).removesuffix(b"\n}")
    return b'%b,\n  "warmup_records": %b,\n  "records": %b\n}\n' % (
        head,
        _listed(result.warmup),
        _listed(result.records),
    )


def _indented(fields: Mapping[str, object]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(fields), indent=2)


def _listed(records: Iterable[RequestRecord]) -> bytes:
    lines = b",\n".join(b"    " + msgspec.json.encode(_fields(record)) for record in records)
    return b"[\n%b\n  ]" % lines if lines else b"[]"


def record_lines(result: BenchResult) -> bytes:
    """Return one JSON object a line: every request, with ``warmup`` true or false."""
    lines = [
        msgspec.json.encode({"warmup": warmup, **_fields(record)})
        for warmup, records in ((True, result.warmup), (False, result.records))
        for record in records
    ]
    return b"".join(line + b"\n" for line in lines)


def _fields(record: RequestRecord) -> dict[str, object]:
    fields: dict[str, object] = msgspec.to_builtins(record)
    for name in _TIMES:
        fields[name] = [round(time_s, _DECIMALS) for time_s in getattr(record, name)]
    return fields


def environment() -> dict[str, object]:
    """Return the versions and the hardware of the machine that measured."""
    machine = CpuHardware().detect()
    versions = {name: version(name) for name in ("httptools", "numpy", "uvloop")}
    return {
        "versions": {
            "replicore": __version__,
            "python": platform.python_version(),
            **versions,
        },
        "platform": platform.platform(),
        "cpu": machine.name,
        "cores": str(machine.cores),
        "core_limit": machine.core_limit,
        "memory_bytes": machine.memory_bytes,
    }


def default_path(name: str, started_at: str) -> Path:
    """Return ``results/bench-<name>-<time>.json``, relative to the working directory."""
    stamp = datetime.fromisoformat(started_at).strftime("%Y%m%dT%H%M%S")
    plain = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name)
    return Path("results") / f"bench-{plain}-{stamp}.json"


def write_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; missing folders are made.

    Raises:
        ConfigError: It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}") from error
