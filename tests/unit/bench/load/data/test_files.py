"""Files of requests: told apart by what is in them."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from replicore.bench.load.data.files import describe, read, read_unchanged
from replicore.bench.load.workload import DataFormat
from replicore.errors import ConfigError

PROMPTS = '{"prompt": "one"}\n{"prompt": "two\u2028three"}\r\n'
TRACE = '\n{"timestamp": 0, "input_length": 6, "output_length": 5}\n'
CSV = "Timestamp,Request tokens,Response tokens\n5,472,18\n"
SHAREGPT = ' [{"conversations": [{"from": "human", "value": "one"}]}]'


@pytest.mark.parametrize(
    ("name", "text", "kind", "rows"),
    [
        ("p.jsonl", PROMPTS, DataFormat.PROMPTS, 2),
        ("p.txt", TRACE, DataFormat.TRACE, 1),
        ("p.csv", CSV, DataFormat.TRACE, 1),
        ("p.json", SHAREGPT, DataFormat.CONVERSATIONS, 1),
        ("bom.json", f"\ufeff{SHAREGPT}", DataFormat.CONVERSATIONS, 1),
    ],
)
def test_kind_of_a_file_is_told_by_its_content(
    tmp_path: Path, name: str, text: str, kind: DataFormat, rows: int
) -> None:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8", newline="")
    found = describe(file)

    assert (found.format, found.rows, found.path) == (kind, rows, str(file))
    assert found.sha256 == sha256(file.read_bytes()).hexdigest()


def test_only_line_feeds_end_a_line(tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text(PROMPTS, newline="")

    assert read(file).conversations[1].turns[0].text == "two\u2028three"


def test_file_that_changed_since_it_was_described_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text(PROMPTS)
    described = describe(file)
    assert read_unchanged(described).file == described

    file.write_text(PROMPTS.replace("one", "eins"))
    with pytest.raises(ConfigError, match="was changed since"):
        read_unchanged(described)


def test_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read(file)

    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not a text in UTF-8"):
        read(file)


def test_file_of_nonsense_is_refused_by_its_first_line(tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text("hello\n")

    with pytest.raises(ConfigError, match="line 1"):
        read(file)
