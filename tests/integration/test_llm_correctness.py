"""The correctness check over several servers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from replicore.bench.llmperf.number_words import number_words
from replicore.cli.llmperf import correctness_main
from replicore.http.server import Response
from tests.integration.chat_server import Body, ChatServer, chat_server, delta, end, stream

NUMBERS = {number_words(number): number for number in range(10_001)}


def number_in(body: Body) -> int:
    found = re.search(r"number: (.*)\.\nPrint", body["messages"][1]["content"])
    assert found is not None
    return NUMBERS[found[1]]


def right(server: ChatServer, body: Body, response: Response) -> None:
    stream(response, delta(content=f"{number_in(body):,}"), end(body, 3))


def wrong(server: ChatServer, body: Body, response: Response) -> None:
    stream(response, delta(content=f"{number_in(body) + 1}"), end(body, 3))


def check(
    monkeypatch: pytest.MonkeyPatch, folder: Path, *servers: ChatServer
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    monkeypatch.setenv("OPENAI_API_BASE", ";".join(f"{one.url}/v1" for one in servers))
    monkeypatch.setenv("OPENAI_API_KEY", "EMPTY")
    assert correctness_main(["--model", "org/tiny", "--results-dir", str(folder)]) == 0
    summary = json.loads((folder / "org-tiny_correctness_summary.json").read_text())
    responses = folder / "org-tiny_correctness_individual_responses.json"
    return summary, json.loads(responses.read_text())


def test_right_answers_match_with_commas_of_thousands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with chat_server(right) as server:
        summary, responses = check(monkeypatch, tmp_path, server)

    assert (summary["num_mismatched_requests"], summary["num_completed_requests"]) == (0, 50)
    assert len(responses) == len(server.bodies) == 50
    assert server.bodies[0]["temperature"] == 0.0


def test_replica_that_answers_differently_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with chat_server(right) as good, chat_server(wrong) as bad:
        summary, _ = check(monkeypatch, tmp_path, good, bad)
    out = capsys.readouterr().out

    assert sorted(map(number_in, good.bodies)) == sorted(map(number_in, bad.bodies))
    assert (summary["num_mismatched_requests"], summary["mismatch_rate"]) == (25, 0.5)
    name = bad.url.removeprefix("http://")
    assert f"{name}: 25 asked, 25 mismatched, 0 errors, 25 unlike other replicas" in out
