"""The optional build: a wheel whose data path is compiled serves the same."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Sequence
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from zipfile import ZipFile

import pytest

from replicore.http.fetch import fetch
from tests.chaos.streams import ask, kill_engine, resumed, run_streams
from tests.integration.deployment import SIMULATED, up

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 600.0
STREAMS = 8
CALM = (*SIMULATED, "--set", "engine.sim.decode_tokens_per_s=25")
# What knows the data path best; with the rest this would take twice as long.
OWN_TESTS = ("tests/unit/gateway", "tests/unit/http", "tests/integration/gateway")


def missing() -> str | None:
    """Return why nothing can be compiled here; None if it can."""
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        return f"no C compiler: {compiler} is not in PATH"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return "no Python.h: Python's headers are not installed"
    return None


pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(TIMEOUT_S),
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]


def modules() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    hook = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]
    return list(hook["modules"])


def pins() -> str:
    """Return the pinned build requirements without their hashes, which a constraint cannot have."""
    lines = (ROOT / "requirements" / "build.txt").read_text().splitlines()
    return "".join(line.removesuffix(" \\") + "\n" for line in lines if "==" in line)


def run(command: Sequence[str], **variables: str) -> str:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(name="site", scope="module")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the compiled package, which goes before the checkout in a child process."""
    folder = tmp_path_factory.mktemp("compiled")
    (folder / "pins.txt").write_text(pins())
    run([sys.executable, "-m", "venv", str(folder / "venv")])
    pip = [str(folder / "venv" / "bin" / "python"), "-m", "pip"]
    run(
        [*pip, "wheel", "-q", "--no-deps", "-w", str(folder), "."],
        HATCH_BUILD_HOOK_ENABLE_CUSTOM="1",
        PIP_CONSTRAINT=str(folder / "pins.txt"),
    )
    (wheel,) = folder.glob("replicore-*.whl")
    with ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.fixture(name="at_work")
def _at_work(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Children import the compiled package."""
    monkeypatch.setenv("PYTHONPATH", str(site))


@pytest.mark.usefixtures("at_work")
def test_every_listed_module_is_an_extension_module(site: Path) -> None:
    script = (
        "import importlib, sys; [print(importlib.import_module(m).__file__) for m in sys.argv[1:]]"
    )

    files = run([sys.executable, "-c", script, *modules()]).split()

    suffix = EXTENSION_SUFFIXES[0]
    assert files == [str(site / (m.replace(".", "/") + suffix)) for m in modules()]


def test_nothing_compiled_is_left_in_the_checkout(site: Path) -> None:
    assert list((ROOT / "src").rglob("*.so")) == []


@pytest.mark.usefixtures("at_work")
def test_a_request_is_answered_and_a_broken_stream_goes_on(tmp_path: Path) -> None:
    asks = [ask(index, max_tokens=20) for index in range(STREAMS)]
    body = json.dumps({"prompt": "hello", "max_tokens": 4}).encode()
    with up(*CALM, state=tmp_path / "s") as at:
        reply = asyncio.run(
            fetch(at.root_url, "POST", "/v1/completions", body=body, timeout=TIMEOUT_S)
        )
        whole = asyncio.run(run_streams(at.root_url, asks))
        broken = asyncio.run(run_streams(at.root_url, asks, strike=lambda: kill_engine(at, 0)))

    assert reply.status == 200
    assert resumed(broken, "r0")
    assert all(one.is_whole for one in broken)
    assert [one.text() for one in broken] == [one.text() for one in whole]


@pytest.mark.usefixtures("at_work")
def test_the_data_paths_own_tests_pass() -> None:
    run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *OWN_TESTS])
