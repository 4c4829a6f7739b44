"""The drop-in for LLMPerf against scripted servers: what is sent, written and printed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import replicore
from replicore.cli.llmperf import main
from replicore.http.server import Response
from tests.integration.chat_server import (
    SSE,
    Body,
    ChatServer,
    chat_server,
    end,
    prompt_tokens,
    stream,
    tokens,
    whole,
)
from tests.integration.simulator import eventually

TUTORIAL = Path(__file__).parents[3] / "shared" / "facts" / "trn2-dp-tutorial.rst"

Files = tuple[dict[str, Any], list[dict[str, Any]]]


@pytest.fixture(name="run")
def _run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Files]:
    """Run the benchmark over servers and return its two files."""

    def run(servers: Sequence[ChatServer], *flags: str) -> Files:
        monkeypatch.setenv("OPENAI_API_BASE", ";".join(f"{one.url}/v1" for one in servers))
        monkeypatch.setenv("OPENAI_API_KEY", "EMPTY")
        folder = tmp_path / "results"
        assert main(["--model", "tiny", "--results-dir", str(folder), *flags]) == 0
        return read(folder)

    return run


def read(folder: Path) -> Files:
    [summary] = folder.glob("*_summary.json")
    [responses] = folder.glob("*_individual_responses.json")
    return json.loads(summary.read_text()), json.loads(responses.read_text())


SHORT = ("--mean-input-tokens=120", "--stddev-input-tokens=0", "--mean-output-tokens=6")
SAME = (*SHORT, "--stddev-output-tokens=0")


# What is sent


def test_body_is_that_of_llmperf_and_asks_for_usage(run: Callable[..., Files]) -> None:
    with chat_server() as server:
        run([server], *SAME, "--additional-sampling-params", '{"temperature": 0.7, "top_k": 50}')

    body = server.bodies[0]
    assert list(body) == [
        *("model", "messages", "stream", "stream_options", "max_tokens", "temperature", "top_k")
    ]
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert body["messages"][0]["content"] == ""
    assert (body["max_tokens"], body["stream_options"]) == (6, {"include_usage": True})
    assert set(server.keys) == {"Bearer EMPTY"}


def test_sampling_parameters_have_the_last_word(run: Callable[..., Files]) -> None:
    with chat_server() as server:
        run([server], *SAME, "--additional-sampling-params", '{"max_tokens": 2}')

    assert {body["max_tokens"] for body in server.bodies} == {2}


@pytest.mark.parametrize("tokenizer", ["vllm", "llama.cpp"])
def test_prompts_have_exactly_the_asked_length_as_the_server_counts(
    run: Callable[..., Files], tokenizer: str
) -> None:
    with chat_server(tokenizer=tokenizer) as server:
        summary, _ = run([server], "--mean-input-tokens=550", "--stddev-input-tokens=0")

    assert [prompt_tokens(body) for body in server.bodies] == [550] * 10
    assert summary["results_number_input_tokens_min"] == "550"
    assert summary["results_number_input_tokens_max"] == "550"


def test_server_that_does_not_tokenise_gets_prompts_of_about_the_length(
    run: Callable[..., Files], capsys: pytest.CaptureFixture[str]
) -> None:
    with chat_server(tokenizer=None) as server:
        run([server], "--mean-input-tokens=550", "--stddev-input-tokens=0")

    assert all(400 < prompt_tokens(body) < 900 for body in server.bodies)
    assert "prompts were made to length by an estimate" in capsys.readouterr().out


def test_warm_up_is_sent_and_in_no_file(run: Callable[..., Files]) -> None:
    with chat_server() as server:
        _, responses = run([server], *SAME, "--warmup", "3")

    assert (len(server.bodies), len(responses)) == (13, 10)


@pytest.mark.slow
def test_several_client_processes_send_each_request_once(run: Callable[..., Files]) -> None:
    with chat_server() as server:
        _, responses = run([server], *SAME, "--processes", "2")

    prompts = {body["messages"][1]["content"] for body in server.bodies}
    assert (len(server.bodies), len(prompts), len(responses)) == (10, 10, 10)


# What is written


def test_two_files_have_the_names_of_llmperf(run: Callable[..., Files], tmp_path: Path) -> None:
    with chat_server() as server:
        run([server], *SAME)

    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == [
        "tiny_120_6_individual_responses.json",
        "tiny_120_6_summary.json",
    ]


def test_entry_agrees_with_itself_and_with_the_server(run: Callable[..., Files]) -> None:
    with chat_server() as server:
        _, responses = run([server], *SAME)

    for entry in responses:
        assert (entry["error_code"], entry["error_msg"]) == (None, "")
        assert (entry["number_input_tokens"], entry["number_output_tokens"]) == (120, 6)
        assert entry["number_total_tokens"] == 126
        assert entry["request_output_throughput_token_per_s"] == pytest.approx(
            6 / entry["end_to_end_latency_s"]
        )
        between = entry["inter_token_latency_s"] * 5
        assert entry["ttft_s"] + between <= entry["end_to_end_latency_s"]


def test_no_results_dir_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with chat_server() as server:
        environment(monkeypatch, server)
        assert main(["--model", "tiny", *SAME]) == 0

    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_result_file_is_that_of_bench_with_its_calibration(
    run: Callable[..., Files], tmp_path: Path
) -> None:
    path = tmp_path / "ours.json"
    with chat_server() as server:
        run([server], *SAME, "--result", str(path))
    document = json.loads(path.read_text())

    assert document["schema"].startswith("replicore-bench/")
    assert len(document["records"]) == 10
    assert document["run"]["calibration"]["streams"] == 10


# What is printed


def test_block_of_llmperf_comes_first_and_then_our_own(
    run: Callable[..., Files], capsys: pytest.CaptureFixture[str]
) -> None:
    with chat_server() as server:
        run([server], *SAME)
    out, err = capsys.readouterr()

    assert out.startswith("Results for token benchmark for tiny queried with the openai api.\n\n")
    block, ours = re.split(r"Completed Requests Per Minute: [0-9.]+\n", out)
    assert "    p99 = " in block
    assert "seed: " in ours
    assert "10/10" in err


def environment(monkeypatch: pytest.MonkeyPatch, *servers: ChatServer) -> None:
    monkeypatch.setenv("OPENAI_API_BASE", ";".join(f"{one.url}/v1" for one in servers))
    monkeypatch.setenv("OPENAI_API_KEY", "EMPTY")


# Streams of all kinds


def with_comments(server: ChatServer, body: Body, response: Response) -> None:
    stream(response, b": keep-alive\n\n", tokens(6), b": still here\n\n", end(body, 6))


def with_crlf(server: ChatServer, body: Body, response: Response) -> None:
    stream(response, (tokens(6) + end(body, 6)).replace(b"\n", b"\r\n"))


def in_one_read(server: ChatServer, body: Body, response: Response) -> None:
    stream(response, tokens(6) + end(body, 6))


def with_an_event_split_over_reads(server: ChatServer, body: Body, response: Response) -> None:
    text = tokens(6) + end(body, 6)
    response.start(200, SSE)
    response.write(text[:30])

    def rest() -> None:
        response.write(text[30:])
        response.end()

    in_a_moment(rest)


def in_a_moment(call: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(0.02, call)


@pytest.mark.parametrize(
    "answer", [whole, with_comments, with_crlf, in_one_read, with_an_event_split_over_reads]
)
def test_stream_is_read_however_it_is_cut(run: Callable[..., Files], answer: Any) -> None:
    with chat_server(answer) as server:
        _, responses = run([server], *SAME)

    assert [(one["error_code"], one["number_output_tokens"]) for one in responses] == [
        (None, 6)
    ] * 10


def refused(server: ChatServer, body: Body, response: Response) -> None:
    response.send(429, b'{"error": {"message": "slow down"}}')


def broken(server: ChatServer, body: Body, response: Response) -> None:
    response.send(500, b"boom")


def cut(server: ChatServer, body: Body, response: Response) -> None:
    response.start(200, SSE)
    response.write(tokens(2))
    in_a_moment(response.abort)


def never(server: ChatServer, body: Body, response: Response) -> None:
    response.start(200, SSE)


@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [
        (refused, 429, "slow down"),
        (broken, 500, "boom"),
        (cut, -1, "closed the connection"),
        (never, -1, "not finished within 0.3 s"),
    ],
)
def test_failure_of_some_requests_is_recorded_with_its_code(
    run: Callable[..., Files], answer: Any, code: int, message: str
) -> None:
    def sometimes(server: ChatServer, body: Body, response: Response) -> None:
        (answer if len(server.bodies) % 5 == 0 else whole)(server, body, response)

    with chat_server(sometimes) as server:
        summary, responses = run([server], *SAME, "--request-timeout", "0.3")

    assert sum(one["error_code"] == code for one in responses) == 2
    assert all(message in one["error_msg"] for one in responses if one["error_code"] is not None)
    assert summary["results_error_code_frequency"] == f"{{{float(code)}: 2}}"
    assert summary["results_num_completed_requests"] == 8


# Endings


def first_three(server: ChatServer, body: Body, response: Response) -> None:
    """Answer three requests, and leave all others without an answer."""
    if len(server.bodies) <= 3:
        whole(server, body, response)
    else:
        server.held.append((body, response))


def test_ctrl_c_leaves_the_files_of_what_was_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with chat_server(first_three) as server:
        environment(monkeypatch, server)
        command = [sys.executable, "-m", "replicore.token_benchmark_ray", "--model", "tiny"]
        process = subprocess.Popen(
            [*command, *SAME, "--results-dir", str(tmp_path), "--num-concurrent-requests", "4"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        eventually(lambda: len(server.held) == 4)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    summary, responses = read(tmp_path)

    assert process.returncode == 130
    assert [one["error_code"] for one in responses] == [None] * 3
    assert summary["results_num_completed_requests"] == 3
    assert "interrupted: 3 of 10 requests are over" in out


@pytest.mark.slow
def test_requests_in_flight_at_the_timeout_are_waited_for_and_counted(
    run: Callable[..., Files], capsys: pytest.CaptureFixture[str]
) -> None:
    def late(server: ChatServer, body: Body, response: Response) -> None:
        asyncio.get_running_loop().call_later(1.2, lambda: whole(server, body, response))

    with chat_server(late) as server:
        _, responses = run([server], *SAME, "--timeout", "1", "--num-concurrent-requests", "2")

    assert (len(server.bodies), [one["error_code"] for one in responses]) == (2, [None] * 2)
    assert "Test timed out before all requests could be completed." in capsys.readouterr().out


def test_requests_that_outlast_the_drain_are_errors(run: Callable[..., Files]) -> None:
    def mostly(server: ChatServer, body: Body, response: Response) -> None:
        if len(server.bodies) < 10:
            whole(server, body, response)

    with chat_server(mostly) as server:
        _, responses = run([server], *SAME, "--drain-timeout", "0.2")

    assert [one["error_code"] for one in responses].count(-1) == 1
    assert len(responses) == 10


@pytest.mark.parametrize("program", ["token_benchmark_ray", "llm_correctness"])
def test_program_is_run_by_its_path_and_says_what_is_wrong(program: str) -> None:
    path = Path(replicore.__file__).parent / f"{program}.py"
    done = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 2
    assert done.stderr.startswith("error: the following arguments are required: --model")


# The tutorial


@pytest.mark.skipif(not TUTORIAL.exists(), reason=f"{TUTORIAL.name} is not in ../shared/facts")
def test_script_of_the_tutorial_runs_over_two_replicas(tmp_path: Path) -> None:
    with chat_server() as first, chat_server() as second:
        script = tutorial_script(tmp_path, first.url, second.url)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", str(script), "-t", "32", "-d", "2", "-b", "4"],
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=120,
        )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        "concurrency: 8\nResults for token benchmark for /ubuntu/model_hf"
    )
    counts = [len(first.bodies), len(second.bodies)]
    assert (sum(counts), abs(counts[0] - counts[1])) == (60, 0)
    assert max(first.most_open, second.most_open) <= 8 // 2 + 1
    summary, responses = read(tmp_path)
    assert (len(responses), summary["additional_sampling_params_top_k"]) == (60, 50)


def tutorial_script(folder: Path, *urls: str) -> Path:
    """Return the tutorial's script, with our program, our servers, and 60 requests for 1,000."""
    text = TUTORIAL.read_text().split("`benchmark_model.sh`")[1].split("Run this script with")[0]
    lines = [line.removeprefix("    ") for line in text.splitlines()]
    program = Path(replicore.__file__).parent / "token_benchmark_ray.py"
    changes = {
        "/root/llmperf/token_benchmark_ray.py": str(program),
        "http://0.0.0.0:8000/v1;http://0.0.0.0:8001/v1": ";".join(f"{url}/v1" for url in urls),
        "/ubuntu/results/": str(folder),
        "--max-num-completed-requests 1000": "--max-num-completed-requests 60",
    }
    script = "\n".join(lines[lines.index("#!/bin/bash") :])
    for old, new in changes.items():
        assert old in script
        script = script.replace(old, new)
    path = folder / "benchmark_model.sh"
    path.write_text(script)
    return path
