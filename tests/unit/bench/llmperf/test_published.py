"""Files that LLMPerf's authors published, written again and computed again.

They are in the repository ray-project/llmperf-leaderboard, of which ``LLMPERF_LEADERBOARD`` names a
checkout.
"""

from __future__ import annotations

import json
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from replicore.bench.llmperf.entries import Entry
from replicore.bench.llmperf.files import encode
from replicore.bench.llmperf.options import Options, RunOptions
from replicore.bench.llmperf.summary import results, summary

_CHECKOUT = os.environ.get("LLMPERF_LEADERBOARD")
_DATA = Path(_CHECKOUT or "nowhere") / "raw_data"
_SAMPLING = "additional_sampling_params_"
_OURS = {"version", "name", "model", "num_concurrent_requests", "timestamp"}

pytestmark = pytest.mark.skipif(
    not _DATA.is_dir(), reason="LLMPERF_LEADERBOARD names no checkout of llmperf-leaderboard"
)


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def entry_of(published: dict[str, Any]) -> Entry:
    """Return a response; older ones have keys more."""
    return Entry(**{field.name: published[field.name] for field in fields(Entry)})


def options_of(published: dict[str, Any]) -> Options:
    """Return the flags of the run that wrote a summary."""
    lengths = {key: value for key, value in published.items() if key.endswith("put_tokens")}
    known = {key for key in published if key.startswith(("results_", _SAMPLING))}
    run = RunOptions(
        model=published["model"],
        concurrency=published["num_concurrent_requests"],
        sampling={
            key.removeprefix(_SAMPLING): value
            for key, value in published.items()
            if key.startswith(_SAMPLING)
        },
        metadata={
            key: value
            for key, value in published.items()
            if key not in known | lengths.keys() | _OURS
        },
    )
    return Options(run=run, **lengths)


def numbers(document: dict[str, Any]) -> dict[str, float]:
    return {key: value for key, value in document.items() if isinstance(value, float)}


def others(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if not isinstance(value, float)}


def test_every_file_is_written_again_byte_for_byte() -> None:
    files = sorted(_DATA.rglob("*.json"))

    assert len(files) == 38
    for path in files:
        assert encode(read(path), bare_nan=True) == path.read_bytes().rstrip(b"\n")


def test_every_summary_follows_from_its_responses_key_for_key() -> None:
    for path in sorted((_DATA / "summary").iterdir()):
        published = read(path)
        entries = [entry_of(one) for one in read(_DATA / "individual" / path.name)]
        completed = published["results_num_completed_requests"]
        elapsed_s = completed / published["results_num_completed_requests_per_min"] * 60
        found = summary(
            options_of(published),
            results(entries, elapsed_s),
            stem=published["name"].removesuffix("_summary"),
            timestamp=published["timestamp"],
        )

        assert list(found) == list(published)
        assert [type(value) for value in found.values()] == list(map(type, published.values()))
        assert numbers(found) == pytest.approx(numbers(published), rel=1e-9)
        assert others(found) == others(published)
