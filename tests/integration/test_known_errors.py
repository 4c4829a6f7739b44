"""What real programs print when they fail is what the patterns look for."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from replicore.engines.known_errors import find_known
from replicore.engines.llamacpp_options import PROGRAM


def known(*argv: str) -> str | None:
    """Return the name of the known error that a program ends with."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode != 0
    error = find_known(done.stdout)
    return error.name if error is not None else None


def llamacpp(*assignments: str) -> str | None:
    return known(sys.executable, str(PROGRAM), "port=1", "verbosity=1", *assignments)


@pytest.mark.engine
@pytest.mark.parametrize(
    ("content", "name"),
    [(b"<!DOCTYPE html><title>404</title>\n" * 4, "gguf-damaged"), (None, "gguf-missing")],
)
def test_llamacpp_without_a_model_is_known(
    tmp_path: Path, content: bytes | None, name: str
) -> None:
    model = tmp_path / "model.gguf"
    if content is not None:
        model.write_bytes(content)

    assert llamacpp(f"model.path={model}") == name


@pytest.mark.parametrize(
    ("program", "name"),
    [
        ("import vllm_that_is_not_here", "package"),
        ("open('/dev/full', 'wb', buffering=0).write(b'x')", "disk"),
        ("bytearray(2**62)", "memory"),
        ("import ctypes; ctypes.CDLL('libnot.so.1')", "library"),
        (
            "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))\n"
            "files = [open('/dev/null') for _ in range(9)]",
            "open-files",
        ),
        ("import os; os.environ['LOCAL_WORLD_SIZE']", "neuron-torchrun-variables"),
    ],
)
def test_what_python_says_is_known(program: str, name: str) -> None:
    assert known(sys.executable, "-c", program) == name


def test_a_port_in_use_is_known() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])

        assert known(sys.executable, "-m", "http.server", port, "--bind", "127.0.0.1") == "port"
