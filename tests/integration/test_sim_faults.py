"""Every fault that the simulator can have."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from replicore.engines.known_errors import find_known
from replicore.engines.sim.program import CRASH_EXIT_CODE
from tests.integration.simulator import TIMEOUT_S, eventually, read_all, read_until, simulator

# Waited in vain for what never comes: longer proves more, but cannot fail.
SILENCE_S = 0.1


def is_silent(sock: socket.socket) -> bool:
    sock.settimeout(SILENCE_S)
    try:
        sock.recv(1)
    except TimeoutError:
        return True
    return False


def test_slow_start_listens_later() -> None:
    started = time.monotonic()
    with simulator("--fault=slow-start=0.5") as sim:
        assert time.monotonic() - started >= 0.5
        assert sim.complete()["text"]


def test_load_failure_exits_with_a_message() -> None:
    command = [sys.executable, "-m", "replicore.engines.sim", "--fault", "load-failure"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert run.returncode == 1
    assert run.stderr == "error: simulated fault: load-failure\n"


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        ([], "cannot allocate memory"),
        (["--profile=trn2"], "Failed to allocate 2.000GB"),
        (["--profile=h100"], "CUDA out of memory"),
    ],
)
def test_out_of_memory_at_load_says_so_in_the_words_of_the_device(
    profile: list[str], words: str
) -> None:
    command = [sys.executable, "-m", "replicore.engines.sim", "--fault=out-of-memory", *profile]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert run.returncode == 1
    assert run.stderr.startswith(f"error: simulated fault: out-of-memory: {words}")
    assert find_known(run.stderr) is not None


def test_wrong_option_exits_with_a_message() -> None:
    command = [sys.executable, "-m", "replicore.engines.sim", "--slot", "1"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert run.returncode == 2
    assert run.stderr == 'error: the simulator has no option "--slot"; did you mean --slots?\n'


def test_taken_port_exits_with_a_message() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "replicore.engines.sim", f"--port={port}"]
        run = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert run.returncode == 1
    assert run.stderr.startswith(f"error: cannot listen on 127.0.0.1:{port}: ")


def test_sigterm_ends_the_process_and_its_streams() -> None:
    with simulator("--decode-tokens-per-s=1") as sim, sim.open_stream() as sock:
        read_until(sock, b"data: ")
        sim.process.send_signal(signal.SIGTERM)

        assert sim.process.wait(TIMEOUT_S) == 0


def test_ignored_sigterm_leaves_the_process_serving() -> None:
    with simulator("--fault=ignore-sigterm") as sim:
        sim.process.send_signal(signal.SIGTERM)

        assert sim.complete()["text"]
        assert sim.process.poll() is None


def test_crash_after_requests_ends_the_process_at_the_next_one() -> None:
    with simulator("--fault=crash-after-requests=2") as sim:
        assert sim.complete()["text"]
        assert sim.complete()["text"]
        with pytest.raises(ConnectionError):
            sim.complete()

        assert sim.process.wait(TIMEOUT_S) == CRASH_EXIT_CODE


def test_crash_after_tokens_ends_the_process_mid_stream() -> None:
    with simulator("--fault=crash-after-tokens=3") as sim:
        with sim.open_stream() as sock:
            received = read_all(sock)
        _, error = sim.process.communicate(timeout=TIMEOUT_S)

    assert received.count(b'"text":') == 3
    assert not received.endswith(b"0\r\n\r\n")
    assert sim.process.returncode == CRASH_EXIT_CODE
    assert error == "simulated fault: crash-after-tokens=3\n"


def test_fault_once_file_spares_the_next_process(tmp_path: Path) -> None:
    arguments = ["--fault=crash-after-requests=0", f"--fault-once-file={tmp_path / 'once'}"]
    with simulator(*arguments) as first, pytest.raises(ConnectionError):
        first.complete()
    with simulator(*arguments) as second:
        assert second.complete()["text"]


@pytest.mark.parametrize("stream", [True, False])
def test_stall_silences_a_response_while_health_is_good(stream: bool) -> None:
    with simulator("--fault=stall-after-tokens=2") as sim:
        with sim.open_stream(stream=stream) as sock:
            received = read_until(sock, b'"text":', 2) if stream else b""
            eventually(lambda: sim.metric("generation_tokens_total") == 2)

            assert received.count(b'"text":') == (2 if stream else 0)
            assert is_silent(sock)
            assert sim.status_of("GET", "/health") == 200
            assert sim.metric("num_requests_running") == 1
        eventually(lambda: sim.metric("num_requests_running") == 0)


def test_wedge_answers_no_more_requests_while_health_is_good() -> None:
    with simulator("--fault=wedge=1") as sim:
        assert sim.complete()["text"]
        with sim.open_stream() as sock:
            assert is_silent(sock)
            assert sim.status_of("GET", "/health") == 200


def test_malformed_event_comes_between_good_ones() -> None:
    with simulator("--fault=malformed-sse-after=1") as sim, sim.open_stream(max_tokens=2) as sock:
        payloads = re.findall(r"^data: (.*)$", read_all(sock).decode(), re.MULTILINE)

    assert json.loads(payloads[0])["choices"][0]["text"] == " lomi"
    assert payloads[1] == '{"id": "cmpl-'
    assert json.loads(payloads[2])["choices"][0]["text"] == " sapu"


def test_tokens_per_chunk_groups_tokens() -> None:
    with simulator("--fault=tokens-per-chunk=3") as sim, sim.open_stream(max_tokens=7) as sock:
        texts = re.findall(r'"text":"(.*?)"', read_all(sock).decode())

    assert texts == [" lomi sapu lofa", " kuga tuka suza", " pero"]


def test_reset_cuts_the_connection_but_not_the_process() -> None:
    with simulator("--fault=reset-after-tokens=2") as sim:
        with sim.open_stream() as sock:
            received = read_all(sock)

        assert received.count(b'"text":') == 2
        assert not received.endswith(b"0\r\n\r\n")
        assert sim.metric("num_requests_running") == 0
        assert sim.complete(max_tokens=3)["text"]


def test_error_rate_fails_every_second_request() -> None:
    with simulator("--fault=error-rate=0.5") as sim:
        answers = [sim.request("POST", "/v1/completions", b'{"prompt":"a"}') for _ in range(4)]

    assert [response.status for response, _ in answers] == [200, 500, 200, 500]
    assert json.loads(answers[1][1])["error"]["type"] == "server_error"


def test_reject_answers_503_while_health_is_good() -> None:
    with simulator("--fault=reject") as sim:
        assert sim.status_of("POST", "/v1/completions", b'{"prompt":"a"}') == 503
        assert sim.status_of("GET", "/health") == 200
