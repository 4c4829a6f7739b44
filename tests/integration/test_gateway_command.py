"""``replicore gateway``: the front door alone, over engines that somebody else runs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from replicore.cli import run
from replicore.http.fetch import Reply, fetch
from tests.integration.simulator import Simulator, eventually, simulator

TIMEOUT_S = 20.0


@contextmanager
def gateway(*arguments: str, heard: bool = True) -> Iterator[str]:
    """Run a gateway on any free port; yield its URL, without ``/v1``.

    Args:
        heard: Whether its output is read on after the ``ready`` line.
    """
    command = [sys.executable, "-m", "replicore", "gateway", "--port", "0", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            ready = next(line for line in process.stdout if line.startswith("ready "))
            if not heard:
                process.stdout.close()
            yield ready.split()[1].removesuffix("/v1")
            process.send_signal(signal.SIGTERM)
            assert process.wait(TIMEOUT_S) == 0
        finally:
            process.kill()


@contextmanager
def two_engines(*arguments: str, heard: bool = True) -> Iterator[tuple[str, list[Simulator]]]:
    """Two simulators behind a gateway; yield the gateway's URL and the simulators."""
    with ExitStack() as stack:
        engines = [stack.enter_context(simulator("--model", "m")) for _ in range(2)]
        flags = [flag for engine in engines for flag in ("--endpoint", engine.endpoint)]
        yield stack.enter_context(gateway(*flags, *arguments, heard=heard)), engines


def workers() -> list[psutil.Process]:
    """Return the gateway workers that descend from this process."""
    return [one for one in psutil.Process().children(recursive=True) if is_worker(one)]


def is_worker(process: psutil.Process) -> bool:
    try:
        return "replicore.gateway" in process.cmdline()
    except psutil.NoSuchProcess:
        return False


def complete(url: str, **body: object) -> Reply:
    data = json.dumps({"prompt": "hello", "max_tokens": 2, **body}).encode()
    return asyncio.run(fetch(url, "POST", "/v1/completions", body=data, timeout=TIMEOUT_S))


def ready_engines(url: str) -> int:
    health = asyncio.run(fetch(url, "GET", "/health", timeout=TIMEOUT_S))
    return int(json.loads(health.body)["ready"])


def test_it_serves_the_model_of_its_engines() -> None:
    with two_engines() as (url, _):
        models = asyncio.run(fetch(url, "GET", "/v1/models", timeout=TIMEOUT_S))

    card = json.loads(models.body)["data"][0]
    assert (card["id"], card["simulated"]) == ("m", True)


def test_both_engines_get_requests() -> None:
    with two_engines() as (url, _):
        eventually(lambda: ready_engines(url) == 2)
        replicas = {complete(url).headers[b"x-replicore-replica"] for _ in range(4)}

    assert replicas == {b"r0", b"r1"}


def test_an_engine_that_dies_is_not_noticed() -> None:
    with two_engines() as (url, engines):
        eventually(lambda: ready_engines(url) == 2)
        engines[0].process.kill()
        engines[0].process.wait(TIMEOUT_S)
        replies = [complete(url) for _ in range(6)]

    assert [reply.status for reply in replies] == [200] * 6
    assert {reply.headers[b"x-replicore-replica"] for reply in replies} == {b"r1"}


def test_it_serves_on_when_nobody_reads_what_it_prints() -> None:
    with two_engines(heard=False) as (url, engines):
        eventually(lambda: ready_engines(url) == 2)
        engines[0].process.kill()
        engines[0].process.wait(TIMEOUT_S)
        eventually(lambda: ready_engines(url) == 1)

        assert complete(url).status == 200


def test_url_of_an_ipv6_address_has_brackets() -> None:
    with (
        simulator("--model", "m") as engine,
        gateway("--endpoint", engine.endpoint, "--host", "::1") as url,
    ):
        assert url.startswith("http://[::1]:")
        assert complete(url).status == 200


def test_a_spec_can_name_the_engines(tmp_path: Path) -> None:
    with simulator("--model", "m") as engine:
        spec = tmp_path / "remote.toml"
        endpoints = (
            f'[engine]\nkind = "remote"\n[engine.remote]\nendpoints = ["{engine.endpoint}"]\n'
        )
        spec.write_text(endpoints + "[layout]\nbatch_size = 1\n")
        with gateway(str(spec)) as url:
            reply = complete(url)

    assert reply.status == 200


@pytest.mark.parametrize("count", [1, 2])
def test_killed_worker_comes_back_behind_the_same_url(count: int) -> None:
    with two_engines("--workers", str(count)) as (url, _):
        before = workers()
        assert len(before) == count
        os.kill(before[0].pid, signal.SIGKILL)
        eventually(lambda: len(set(workers()) - {before[0]}) == count)
        replies = [complete(url) for _ in range(6)]

    assert [reply.status for reply in replies] == [200] * 6


def test_what_a_worker_prints_comes_out_of_the_command(tmp_path: Path) -> None:
    keys = tmp_path / "keys.txt"
    assert run(("keys", "add", str(keys), "somebody")) == 0
    command = [sys.executable, "-m", "replicore", "gateway", "--port", "0"]
    options = ["--set", f"gateway.api_keys_file={keys}"]
    with (
        simulator("--model", "m") as engine,
        subprocess.Popen(
            [*command, *options, "--endpoint", engine.endpoint],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("ready ")
        keys.write_text("not a key\n")
        warning = next(line for line in process.stderr if line.startswith("gateway | "))
        process.terminate()

    assert "the keys read before stay valid" in warning


def test_nothing_is_left_of_its_private_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with two_engines():
        assert [path.name[:18] for path in tmp_path.iterdir()] == ["replicore-gateway-"]

    assert list(tmp_path.iterdir()) == []


def test_host_that_others_reach_is_refused_without_keys(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(("gateway", "--endpoint", "http://127.0.0.1:1", "--host", "0.0.0.0")) == 2

    said = capsys.readouterr().err
    assert 'gateway.host: "0.0.0.0" takes requests from other machines' in said
    assert "--insecure" in said


def test_insecure_serves_other_machines_without_keys() -> None:
    with (
        simulator("--model", "m") as engine,
        gateway("--endpoint", engine.endpoint, "--host", "0.0.0.0", "--insecure") as url,
    ):
        assert complete(url).status == 200


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1 that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    here = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(here, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    format = serialization.PrivateFormat.PKCS8
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(certificate.public_bytes(pem))
    key_file.write_bytes(key.private_bytes(pem, format, plain))
    return cert_file, key_file


def test_it_serves_https_with_a_certificate(tmp_path: Path) -> None:
    cert, key = write_certificate(tmp_path)
    files = (f"gateway.tls_cert={cert}", f"gateway.tls_key={key}")
    options = [word for file in files for word in ("--set", file)]
    with (
        simulator("--model", "m") as engine,
        gateway("--endpoint", engine.endpoint, *options) as url,
    ):
        command = ["curl", "-sS", "--cacert", str(cert), f"{url}/health"]
        shown = subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT_S)

    assert url.startswith("https://")
    assert json.loads(shown.stdout) == {"ready": 1, "replicas": 1}


def test_certificate_that_cannot_be_used_is_refused_at_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cert, _ = write_certificate(tmp_path)
    files = (f"gateway.tls_cert={cert}", f"gateway.tls_key={cert}")
    options = [word for file in files for word in ("--set", file)]

    assert run(("gateway", "--endpoint", "http://127.0.0.1:1", *options)) == 2
    assert "not a private key" in capsys.readouterr().err
