"""What a stranger does: the wheel in an environment of its own, a clone in an empty home."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from replicore.http.fetch import fetch

pytestmark = [pytest.mark.engine, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 900.0
KEPT_VARIABLES = re.compile(
    r"LANG|LC_.*|PATH|PIP_.*|PYTEST_LEAK_TAG|SSL_.*|TERM|UV_.*|.*_PROXY", re.I
)


@pytest.fixture(name="stranger")
def _stranger(tmp_path: Path) -> Mapping[str, str]:
    """An environment with an empty home, and without uv."""
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if KEPT_VARIABLES.fullmatch(name)}
    folders = [d for d in kept["PATH"].split(os.pathsep) if not (Path(d) / "uv").exists()]
    own = Path(sys.executable).parent
    path = os.pathsep.join(d for d in folders if Path(d) != own)
    # An empty home has no safe.directory, and the checkout may be another user's.
    trust = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
    }
    return {**kept, **trust, "HOME": str(home), "PATH": path}


def run(
    *command: str | Path, cwd: Path, env: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=env, capture_output=True, text=True, timeout=TIMEOUT_S
    )
    assert done.returncode == 0, done.stderr
    return done


def constraints() -> str:
    """Return the pinned versions without their hashes, which pip does not take for constraints."""
    pins = (ROOT / "requirements" / "dev.txt").read_text()
    return "".join(
        line.removesuffix(" \\") + "\n"
        for line in pins.splitlines()
        if "==" in line and not line.startswith(" ")
    )


@pytest.mark.timeout(TIMEOUT_S)
def test_the_wheel_serves_a_model_elsewhere(tmp_path: Path, stranger: Mapping[str, str]) -> None:
    (tmp_path / "pins.txt").write_text(constraints())
    python = tmp_path / "venv" / "bin" / "python"
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path, env=stranger)
    pip = (python, "-m", "pip")
    run(*pip, "wheel", "-q", "--no-deps", "-w", tmp_path, ROOT, cwd=tmp_path, env=stranger)
    (wheel,) = tmp_path.glob("replicore-*.whl")
    run(*pip, "install", "-q", "-c", "pins.txt", f"{wheel}[local]", cwd=tmp_path, env=stranger)

    command = [str(python), "-m", "replicore", "up", "--port", "0", "--replicas", "1"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=stranger, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[1].removesuffix("/v1")
            body = b'{"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}'
            reply = asyncio.run(fetch(url, "POST", "/v1/chat/completions", body=body, timeout=60))
        finally:
            process.terminate()

    assert json.loads(reply.body)["choices"][0]["message"]["content"]
    assert process.returncode == 0


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_the_demo_runs_in_a_fresh_clone(tmp_path: Path, stranger: Mapping[str, str]) -> None:
    git = shutil.which("git")
    assert git is not None
    run(git, "clone", "-q", ROOT, "clone", cwd=tmp_path, env=stranger)

    done = run("scripts/demo", "-n", "8", cwd=tmp_path / "clone", env=stranger)

    assert "better: " in done.stdout
    assert list((tmp_path / "clone" / "results").glob("demo-*.json"))
