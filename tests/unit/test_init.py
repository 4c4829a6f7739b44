from __future__ import annotations

import re
from pathlib import Path

import pytest

from replicore.cli.init import init_command
from replicore.errors import ConfigError
from replicore.spec import Spec, load_spec
from replicore.spec.docs import commented_spec
from replicore.spec.keys import keys

UNSET_NOTE = "  # an example; not set by default"
COMMENTED_KEY = re.compile(r"^#(?=\w+ = )", re.MULTILINE)


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "serve.toml"


def load(path: Path, text: str) -> Spec:
    path.write_text(text, encoding="utf-8")
    return load_spec(path, environ={})


def test_written_spec_is_the_defaults(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    init_command(path)

    assert Spec() == load_spec(path, environ={})
    assert capsys.readouterr().out == f"wrote {path}; `replicore up {path}` serves it\n"
    assert [path] == list(path.parent.iterdir())


def test_written_spec_with_every_default_uncommented_is_the_defaults(path: Path) -> None:
    lines = [line for line in commented_spec().splitlines() if not line.endswith(UNSET_NOTE)]

    spec = load(path, COMMENTED_KEY.sub("", "\n".join(lines)))

    assert spec == Spec()
    assert "port" in spec.gateway.model_fields_set


def test_written_spec_with_every_key_uncommented_sets_every_key(path: Path) -> None:
    text = COMMENTED_KEY.sub("", commented_spec())

    spec = load(path, text).model_dump(exclude_unset=True)

    for key in keys().values():
        table = spec
        for name in key.path:
            assert name in table, key.dotted
            table = table[name]


def test_existing_file_is_left_alone(path: Path) -> None:
    path.write_text("mine")

    with pytest.raises(ConfigError, match="the file exists") as caught:
        init_command(path)

    assert caught.value.hint == "--force replaces it"
    assert path.read_text() == "mine"


def test_existing_file_is_replaced_by_force(path: Path) -> None:
    path.write_text("mine")

    init_command(path, force=True)

    assert path.read_text(encoding="utf-8") == commented_spec()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (".", "this is a folder"),
        ("missing/serve.toml", "cannot be written (No such file or directory)"),
        ("x" * 300, "cannot be written (File name too long)"),
        ("\0", "cannot be written (embedded null byte)"),
    ],
)
def test_path_that_cannot_be_written_is_refused_and_nothing_is_left(
    tmp_path: Path, name: str, why: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(why)):
        init_command(tmp_path / name, force=True)

    assert list(tmp_path.iterdir()) == []
