"""The scripts of ``replicore render``, run: simulated replicas, and a compiler that only writes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from replicore.deploy.ports import PortBlocks
from replicore.render.shell.render import render_shell
from tests.integration.deployment import eventually
from tests.integration.neuron_environment import make_environment, make_model
from tests.unit.render.rendering import deployment_of, tutorial, write

COMPILER = Path(__file__).with_name("fake_inference_demo.py")
OUTPUTS = ["model.pt", "neuron_config.json", "weights"]


@contextmanager
def running(*argv: object, **env: str) -> Iterator[subprocess.Popen[str]]:
    """Run a script; at the end it is asked to stop, and must."""
    process = subprocess.Popen(
        [str(word) for word in argv],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **env},
    )
    with process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(timeout=60)


def read_until(process: subprocess.Popen[str], text: str) -> list[str]:
    """Return what the script says, up to the line with ``text``."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if text in line:
            return said
    raise AssertionError("".join(said))


@pytest.fixture(name="port")
def _port() -> Iterator[int]:
    with PortBlocks(1, size=4) as blocks:
        yield blocks.first_ports[0]


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, port: int) -> Path:
    """The scripts of two simulated replicas, on the ports after ``port``."""
    sim = {"engine.kind": "sim", "engine.sim.cores": "2", "layout.replicas": "2", "layout.tp": "1"}
    rules = {"supervisor.probe_interval": "50ms", "gateway.port": str(port)}
    return write(render_shell(deployment_of(None, **sim, **rules)), tmp_path)


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=5) as reply:
            return bool(json.load(reply)["data"])
    except OSError:
        return False


def engine_on(port: int) -> psutil.Process:
    found = [
        process
        for process in psutil.process_iter(["cmdline"])
        if f"--port={port}" in (process.info["cmdline"] or ())
    ]
    (engine,) = found
    return engine


def test_all_replicas_serve_and_all_stop_with_the_script(folder: Path, port: int) -> None:
    with running(folder / "serve.sh") as serving:
        read_until(serving, "all replicas are ready")
        assert [answers(port + 1), answers(port + 2)] == [True, True]

    assert serving.returncode == 143
    assert [answers(port + 1), answers(port + 2)] == [False, False]


def test_replica_that_is_killed_is_started_again(folder: Path, port: int) -> None:
    with running(folder / "serve.sh") as serving:
        read_until(serving, "all replicas are ready")
        engine_on(port + 2).kill()
        said = read_until(serving, "r1 starts")
        eventually(lambda: answers(port + 2), "it serves again")

    assert any("ended with exit code 137" in line for line in said)


def test_replica_that_cannot_start_ends_the_script_with_the_name_of_its_log(folder: Path) -> None:
    (folder / "local.sh").write_text("BIN=/nonexistent\n")
    with running(folder / "serve.sh") as serving:
        said = read_until(serving, "ended before it was ready")
        serving.wait(timeout=60)

    assert serving.returncode == 1
    assert str(folder / "logs") in said[-1]


def test_second_serve_script_is_refused(folder: Path) -> None:
    with running(folder / "serve.sh") as serving:
        read_until(serving, "all replicas are ready")
        second = subprocess.run([folder / "serve.sh"], capture_output=True, text=True, timeout=60)

    assert second.returncode == 1
    assert "serve.sh is there already" in second.stderr


def test_port_that_somebody_has_is_named_before_anything_starts(folder: Path, port: int) -> None:
    taken = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port + 2)]
    with subprocess.Popen(taken, stderr=subprocess.DEVNULL) as holder:
        eventually(lambda: engine_listens(port + 2))
        done = subprocess.run([folder / "serve.sh"], capture_output=True, text=True, timeout=60)
        holder.terminate()

    assert done.returncode == 1
    assert f"port {port + 2} of r1 is taken" in done.stderr


def engine_listens(port: int) -> bool:
    return any(
        connection.laddr.port == port and connection.status == psutil.CONN_LISTEN
        for connection in psutil.net_connections("tcp")
        if connection.laddr
    )


@pytest.fixture(name="compiling")
def _compiling(tmp_path: Path) -> Path:
    """The tutorial's scripts, with a compiler that only writes files."""
    folder = write(render_shell(tutorial(supervisor__probe_interval="50ms")), tmp_path)
    (folder / "bin").mkdir()
    compiler = folder / "bin" / "inference_demo"
    compiler.write_text(f'#!/bin/sh\nexec {sys.executable} {COMPILER} "$@" --mark {folder}/mark\n')
    compiler.chmod(0o755)
    (folder / "local.sh").write_text(f"BIN={folder / 'bin'}\n")
    return folder


def compile_in(folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [folder / "compile.sh"],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=60,
    )


def artefacts(folder: Path) -> list[Path]:
    return [path for path in (folder / "artefacts").iterdir() if path.is_dir()]


def test_compile_leaves_the_whole_model_under_its_name(compiling: Path) -> None:
    done = compile_in(compiling)

    assert (done.returncode, done.stderr.splitlines()[-1].split()[1]) == (0, "compiled:")
    (artefact,) = artefacts(compiling)
    assert sorted(path.name for path in artefact.iterdir()) == OUTPUTS
    assert "Compiling and tracing time" in done.stdout


def test_second_compile_does_nothing(compiling: Path) -> None:
    compile_in(compiling)
    (artefact,) = artefacts(compiling)
    before = (artefact / "model.pt").stat().st_mtime_ns
    done = compile_in(compiling, FAKE_FAULT="abort")

    assert (done.returncode, "compiled already" in done.stderr) == (0, True)
    assert (artefact / "model.pt").stat().st_mtime_ns == before


@pytest.mark.parametrize("fault", ["abort", "no-model"])
def test_compile_that_fails_leaves_nothing(compiling: Path, fault: str) -> None:
    done = compile_in(compiling, FAKE_FAULT=fault)

    assert done.returncode == 1
    assert artefacts(compiling) == []


def test_failure_that_may_not_come_twice_is_tried_again(compiling: Path) -> None:
    done = compile_in(compiling, FAKE_FAULT="flake")

    assert (done.returncode, "once more" in done.stderr) == (0, True)
    assert len(artefacts(compiling)) == 1


def test_compile_that_is_stopped_leaves_no_file_and_no_compiler(compiling: Path) -> None:
    with running(compiling / "compile.sh", FAKE_FAULT="hang") as process:
        read_until(process, "compiling; log")
        log = compiling / "logs" / "compile.log"
        eventually(lambda: log.exists() and "compiling" in log.read_text())
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)

    assert process.returncode == 130
    assert artefacts(compiling) == []


def test_second_compile_at_the_same_time_is_refused(compiling: Path) -> None:
    with running(compiling / "compile.sh", FAKE_FAULT="wait") as first:
        read_until(first, "compiling; log")
        second = compile_in(compiling)
        (compiling / "mark").touch()
        read_until(first, "compiled:")

    assert (second.returncode, "a compile of this model is there" in second.stderr) == (1, True)


def test_compile_without_end_is_ended(compiling: Path) -> None:
    with (compiling / "local.sh").open("a") as file:
        file.write("COMPILE_TIMEOUT=1\n")
    done = compile_in(compiling, FAKE_FAULT="hang")

    assert (done.returncode, "no end after 1 s" in done.stderr) == (1, True)
    assert artefacts(compiling) == []


def test_replicas_are_not_started_before_the_model_is_compiled(compiling: Path) -> None:
    done = subprocess.run([compiling / "serve.sh"], capture_output=True, text=True, timeout=60)

    assert (done.returncode, "nothing is compiled yet" in done.stderr) == (1, True)


@pytest.fixture(name="short")
def _short() -> Iterator[Path]:
    """A folder with a path that is short enough for sockets below it."""
    with TemporaryDirectory(prefix="rc-") as folder:
        yield Path(folder)


@pytest.mark.parametrize("generation", ["fork", "native"])
def test_stand_in_for_neuron_is_compiled_for_and_served(
    generation: str, short: Path, tmp_path: Path, port: int
) -> None:
    keys = {
        "model.source": str(make_model(tmp_path / "model")),
        "model.served_name": "llama",
        "layout.replicas": "2",
        "layout.tp": "2",
        "layout.max_model_len": "256",
        "engine.kind": "neuron",
        "engine.python": str(make_environment(tmp_path / "env")),
        "engine.neuron.instance": "trn2.48xlarge",
        "engine.neuron.generation": generation,
        "gateway.port": str(port),
        "supervisor.probe_interval": "50ms",
    }
    write(render_shell(deployment_of(None, **keys)), short)

    assert subprocess.run([short / "compile.sh"], capture_output=True).returncode == 0
    with running(short / "serve.sh") as serving:
        read_until(serving, "all replicas are ready")
        assert [answers(port + 1), answers(port + 2)] == [True, True]
