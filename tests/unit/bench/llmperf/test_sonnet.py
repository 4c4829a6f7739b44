"""Finding LLMPerf's text."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from replicore.bench.llmperf import sonnet
from replicore.bench.llmperf.sonnet import read_sonnet
from replicore.errors import ConfigError

TEXT = b"one\ntwo\nthree"


def test_text_must_be_named() -> None:
    with pytest.raises(ConfigError, match="was not named") as caught:
        read_sonnet(None, None)

    assert caught.value.hint is not None
    assert "--llmperf PATH" in caught.value.hint


def test_other_text_is_refused_by_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "sonnet.txt"
    path.write_bytes(TEXT)

    with pytest.raises(ConfigError, match=r"its sha256 begins with \w{8}, not a4fef83b"):
        read_sonnet(path, None)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"src/llmperf/sonnet\.txt: cannot be read"):
        read_sonnet(None, tmp_path)


def test_lines_of_the_right_text_keep_their_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "src" / "llmperf" / "sonnet.txt"
    path.parent.mkdir(parents=True)
    path.write_bytes(TEXT)
    monkeypatch.setattr(sonnet, "_SHA256", sha256(TEXT).hexdigest())

    assert read_sonnet(None, tmp_path) == ["one\n", "two\n", "three"]
