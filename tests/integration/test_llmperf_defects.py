"""Every known defect of LLMPerf, as a test that the corrected mode passes.

The numbers are those of the list that the benchmark was built by; a defect's first sentence says
what LLMPerf does.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import pytest

from replicore.bench.client.run import Run
from replicore.bench.llmperf.corrected import corrected_outcome
from replicore.bench.llmperf.options import Options, RunOptions
from replicore.bench.record import RequestRecord
from replicore.cli.llmperf import main
from replicore.errors import ConfigError, ReplicoreError
from replicore.http.server import Response
from tests.integration.chat_server import (
    SSE,
    Body,
    ChatServer,
    chat_server,
    delta,
    end,
    prompt_tokens,
    stream,
    tokens,
    whole,
)

Files = tuple[dict[str, Any], list[dict[str, Any]]]
Bench = Callable[..., Files]


@pytest.fixture(name="bench")
def _bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Run LLMPerf's benchmark over one server, and return its two files."""

    def bench(server: ChatServer, *flags: str) -> Files:
        monkeypatch.setenv("OPENAI_API_BASE", f"{server.url}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "EMPTY")
        main(["--model", "tiny", "--results-dir", str(tmp_path), *flags])
        return files(tmp_path)

    return bench


def files(folder: Path) -> Files:
    [summary] = folder.glob("*_summary.json")
    [responses] = folder.glob("*_individual_responses.json")
    return loads(summary), loads(responses)


def loads(path: Path) -> Any:
    """Read JSON as it is defined, without NaN."""

    def refuse(constant: str) -> NoReturn:
        raise AssertionError(f"{path}: {constant}")

    return json.loads(path.read_text(), parse_constant=refuse)


def flags(requests: int, concurrency: int) -> tuple[str, ...]:
    return (
        f"--max-num-completed-requests={requests}",
        f"--num-concurrent-requests={concurrency}",
    )


def hold_the_first(until: int) -> Callable[[ChatServer, Body, Response], None]:
    """Answer the first request only once ``until`` have come."""

    def answer(server: ChatServer, body: Body, response: Response) -> None:
        if len(server.bodies) == 1:
            server.held.append((body, response))
        else:
            whole(server, body, response)
        if len(server.bodies) == until:
            server.release()

    return answer


def hold_all(until: int) -> Callable[[ChatServer, Body, Response], None]:
    """Answer nobody before ``until`` requests wait at the same time."""

    def answer(server: ChatServer, body: Body, response: Response) -> None:
        server.held.append((body, response))
        if len(server.held) == until:
            server.release()

    return answer


def test_d1_slow_request_holds_up_no_other(bench: Bench) -> None:
    """v2.0 sends nothing more until every request of a round is back."""
    with chat_server(hold_the_first(until=8)) as server:
        _, responses = bench(server, *flags(8, 2))

    assert len(responses) == 8


def test_d2_every_request_is_sent_once_and_counted(bench: Bench) -> None:
    """The last version sends 19 requests for 10, counts the quickest, and repeats prompts."""
    with chat_server(hold_the_first(until=10)) as server:
        _, responses = bench(server)

    prompts = {body["messages"][1]["content"] for body in server.bodies}
    assert (len(server.bodies), len(prompts), len(responses)) == (10, 10, 10)


def test_d3_failed_request_ends_nothing(bench: Bench) -> None:
    """A request that failed divides by zero, and a place of the loop is gone."""

    def failing(server: ChatServer, body: Body, response: Response) -> None:
        response.send(500, b"boom") if len(server.bodies) % 3 else whole(server, body, response)

    with chat_server(failing) as server:
        summary, responses = bench(server, *flags(12, 3))

    assert (len(server.bodies), len(responses)) == (12, 12)
    assert (summary["results_number_errors"], summary["results_error_rate"]) == (8, 8 / 12)


def test_d4_tokens_are_not_events(bench: Bench) -> None:
    """Every event counts as a token: that of the role, the last one, and one of five tokens."""

    def bundled(server: ChatServer, body: Body, response: Response) -> None:
        role = delta(role="assistant", content="")
        stream(response, role, delta(content="a b c d e"), delta(content=" f"), end(body, 6))

    with chat_server(bundled) as server:
        _, responses = bench(server)

    assert {one["number_output_tokens"] for one in responses} == {6}


def request(**fields: Any) -> RequestRecord:
    given = {
        "index": 0,
        "endpoint": "http://a:1",
        "replica": "a:1",
        "input_tokens_asked": 100,
        "output_tokens_asked": 8,
        "intended_s": 0.0,
        "dispatched_s": 0.0,
        "ended_s": 3.0,
        "chunk_times_s": (2.0, 2.5, 3.0),
        "chunk_tokens": (1.0, 1.0, 1.0),
        "events": 5,
        "input_tokens": 100,
        "output_tokens": 3,
        "status": 200,
    }
    return RequestRecord(**{**given, **fields})


def outcome(*records: RequestRecord, **run: Any) -> Any:
    options = Options(run=RunOptions(model="tiny", sampling={}, metadata={}, **run))
    found = Run(
        warmup=(),
        records=records,
        client=(),
        servers=(),
        stopped=False,
        simulated=False,
        processes=1,
    )
    return corrected_outcome(options, found, None)


def test_d5_time_to_first_token_is_not_between_tokens() -> None:
    """The latency between tokens has the time to the first one in it, and the wrong divisor."""
    [entry] = outcome(request()).entries

    assert entry.inter_token_latency_s == 0.5


def test_d6_tokens_are_counted_by_the_server(bench: Bench) -> None:
    """One tokenizer counts for all models, and one token too many: 151 for 150."""
    with chat_server() as server:
        _, responses = bench(server, "--mean-output-tokens=150", "--stddev-output-tokens=0")

    assert {one["number_output_tokens"] for one in responses} == {150}


@pytest.mark.parametrize("mean", [100, 550, 2048, 7936])
def test_d7_prompts_are_as_long_as_is_reported(bench: Bench, mean: int) -> None:
    """Prompts are 6 to 8 % shorter than reported, and the chat template is not counted."""
    with chat_server() as server:
        _, responses = bench(server, f"--mean-input-tokens={mean}", "--stddev-input-tokens=0")

    assert {prompt_tokens(body) for body in server.bodies} == {mean}
    assert {one["number_input_tokens"] for one in responses} == {mean}


def test_d8_usage_and_comments_break_nothing(bench: Bench) -> None:
    """An event without choices is an IndexError, and a comment is no JSON."""

    def commented(server: ChatServer, body: Body, response: Response) -> None:
        stream(response, b": hello\n\n", tokens(3), b": hello\n", end(body, 3))

    with chat_server(commented) as server:
        options = '{"stream_options": {"include_usage": true}}'
        _, responses = bench(server, "--additional-sampling-params", options)

    assert [one["error_code"] for one in responses] == [None] * 10


def test_d9_time_to_first_token_is_never_a_made_up_zero(bench: Bench) -> None:
    """Where no content came, or only reasoning, the time to first token is 0 and counts."""

    def thinking(server: ChatServer, body: Body, response: Response) -> None:
        thought = delta(reasoning_content="hm") if len(server.bodies) % 2 else b""
        stream(response, thought, end(body, 1))

    with chat_server(thinking) as server:
        summary, responses = bench(server)

    times = [one["ttft_s"] for one in responses]
    assert times.count(None) == 5
    assert summary["results_ttft_s_min"] > 0


def test_d10_one_process_holds_many_requests(bench: Bench) -> None:
    """Every request in flight needs a process, started inside the clock."""
    with chat_server(hold_all(until=200)) as server:
        _, responses = bench(server, *flags(200, 200))

    assert server.most_open == 200
    assert [one["error_code"] for one in responses] == [None] * 200


def test_d11_request_timeout_is_given_and_its_error_says_so(bench: Bench) -> None:
    """Silence of 180 s ends a request, with an empty message."""

    def silent(server: ChatServer, body: Body, response: Response) -> None:
        response.start(200, SSE) if len(server.bodies) == 1 else whole(server, body, response)

    with chat_server(silent) as server:
        _, responses = bench(server, "--request-timeout", "0.3")

    [failed] = [one for one in responses if one["error_code"] is not None]
    assert (failed["error_code"], failed["error_msg"]) == (-1, "not finished within 0.3 s")


def test_d12_clock_runs_until_the_last_counted_request_is_back() -> None:
    """The clock stops before the last requests are counted, or runs on for uncounted ones."""
    late = request(index=1, dispatched_s=9.0, chunk_times_s=(11.0, 12.0, 14.0), ended_s=14.0)
    found = outcome(request(), late, requests=5, timeout_s=10.0)

    assert found.timed_out
    assert (len(found.entries), found.elapsed_s) == (2, 14.0)


def test_d13_errors_are_not_completed_and_no_round_overshoots(bench: Bench) -> None:
    """Errors count as completed, and 6 requests at 4 in flight become 8."""

    def failing(server: ChatServer, body: Body, response: Response) -> None:
        response.send(500, b"boom") if len(server.bodies) <= 2 else whole(server, body, response)

    with chat_server(failing) as server:
        summary, _ = bench(server, *flags(6, 4))

    assert len(server.bodies) == summary["results_num_requests_started"] == 6
    assert summary["results_num_completed_requests"] == 4


@pytest.mark.slow
def test_d14_connections_are_open_before_the_clock_starts(bench: Bench, tmp_path: Path) -> None:
    """Every request opens a connection, inside its time to first token."""
    path = tmp_path / "ours" / "result.json"
    with chat_server() as server:
        bench(server, *flags(10, 2), "--result", str(path))

    assert [one.get("connected_s") for one in loads(path)["records"]] == [None] * 10


def test_d15_second_run_sends_other_prompts_unless_seeded(bench: Bench) -> None:
    """All runs send the same prompts, so that a prefix cache makes the second one faster."""

    def prompts(*more: str) -> list[str]:
        with chat_server() as server:
            bench(server, "--num-concurrent-requests=1", *more)
        return [body["messages"][1]["content"] for body in server.bodies]

    assert not set(prompts()) & set(prompts())
    assert prompts("--seed=5") == prompts("--seed=5")


def test_d16_mean_without_room_for_text_is_refused(bench: Bench) -> None:
    """A mean below about 27 tokens without deviation loops for ever."""
    with chat_server() as server, pytest.raises(ConfigError, match="leaves no room for text"):
        bench(server, "--mean-input-tokens=5", "--stddev-input-tokens=0")

    assert server.bodies == []


def test_d17_run_in_which_everything_failed_fails_and_its_files_are_json(
    bench: Bench, tmp_path: Path
) -> None:
    """v2.0 ends with exit code 0 where everything failed, and writes NaN."""

    def failing(server: ChatServer, body: Body, response: Response) -> None:
        response.send(500, b"boom")

    nothing = pytest.raises(ReplicoreError, match="none of the 10 requests was answered")
    with chat_server(failing) as server, nothing as caught:
        bench(server)
    summary, responses = files(tmp_path)

    assert caught.value.exit_code == 1
    assert summary["results_ttft_s_mean"] is None
    assert {one["error_code"] for one in responses} == {500}


@pytest.mark.slow
def test_d18_what_llmperf_lacks_is_there(bench: Bench, tmp_path: Path) -> None:
    """There is no open loop, no warm-up, no seed, no total throughput, nothing beyond p99."""
    path = tmp_path / "ours" / "result.json"
    extra = ("--arrivals=1000/s", "--warmup=3", "--seed=7", "--result", str(path))
    with chat_server() as server:
        bench(server, *extra)
    document = loads(path)

    assert len(server.bodies) == 13
    assert document["run"]["workload"]["seed"] == 7
    total = document["summary"]["total"]
    assert "total_tokens_per_s" in total
    assert max(one["p"] for one in total["ttft_s"]["quantiles"]) > 0.99


def test_d19_no_lines_of_a_prompt_come_twice_in_one_order(bench: Bench) -> None:
    """A long prompt is the same 84 lines over and over."""
    with chat_server() as server:
        bench(server, "--mean-input-tokens=7936", "--max-num-completed-requests=1")
    lines = server.bodies[0]["messages"][1]["content"].split("\n")

    assert len(set(pairwise(lines))) == len(lines) - 1


def test_d20_nothing_heavy_or_online_is_imported() -> None:
    """It needs an old Python and an old pydantic, and a model hub while it is imported."""
    program = (
        "import sys, replicore.cli.llmperf; "
        "heavy = {'ray', 'transformers', 'tokenizers', 'huggingface_hub', 'pandas', 'plotly'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout.strip() == "[]"
