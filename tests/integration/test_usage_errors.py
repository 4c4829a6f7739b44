"""Wrong specs and command lines, as a user meets them: exit code, one sentence, a way out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from replicore.cli import run
from tests.unit.bad_specs import BAD_SPECS

# Command line, exit code, what the message must say.
BAD_COMMAND_LINES = [
    (["upp"], 2, ['no command "upp"', "did you mean `replicore up`?"]),
    (["--nope"], 2, ["no such option: --nope"]),
    (["up", "--nope"], 2, ["no such option: --nope", "`replicore up --help`"]),
    (["up", "nowhere.toml"], 2, ["nowhere.toml", "replicore init"]),
    (["up", "."], 2, ["folder"]),
    (["up", "--replicas", "0"], 2, ["layout.replicas", "0"]),
    (["up", "--replicas", "two"], 2, ["layout.replicas", '"two"', "auto"]),
    (["up", "--replicas", "1000"], 2, ["1000 replicas", "these fit"]),
    (["up", "--tp", "3000"], 2, ["3000"]),
    (["up", "--set", "layout.batch_size=300"], 2, ["layout.batch_size", "300", "256"]),
    (["up", "--cores", "9000"], 2, ["9000"]),
    (["up", "--cores", "3-1"], 2, ["3-1"]),
    (["up", "--port", "70000"], 2, ["gateway.port", "70000", "65535"]),
    (["up", "--model", "nowhere.gguf"], 1, ["nowhere.gguf"]),
    (["up", "--model", "builtin:smollm"], 2, ["builtin:smollm", "builtin:smollm2-135m"]),
    (["up", "--set", "layout.tpp=1"], 2, ["layout.tpp", "layout.tp?"]),
    (["up", "--set", "nonsense"], 2, ["nonsense"]),
    (["up", "--set", "engine.kind=vlm"], 2, ['"vlm"', "vllm"]),
    (["up", "--set", "engine.kind=neuron"], 2, ["engine.python", "vLLM for Neuron"]),
    (["up", "--set", "engine.kind=remote"], 2, ["remote", "endpoint"]),
    (["up", "--set", 'engine.args=["--n-bach", "7"]'], 2, ["--n-bach", "did you mean --n-batch?"]),
    (["up", "--set", 'engine.args=["--n-batch", "many"]'], 2, ["--n-batch", "many", "integer"]),
    (["up", "--set", 'engine.args=["--port", "7"]'], 2, ["port"]),
    (["up", "--set", "gateway.policy=fastest"], 2, ["gateway.policy", '"fastest"']),
    (["up", "--set", "gateway.workers=0"], 2, ["gateway.workers"]),
    (["up", "--host", "0.0.0.0"], 2, ["gateway.host", "0.0.0.0", "keys"]),
    (["up", "--set", "gateway.tls_cert=c.pem"], 2, ["gateway.tls_key"]),
    (["up", "--set", "supervisor.stop_grace=10 parsecs"], 2, ["stop_grace", "10 parsecs"]),
    (["status", "nowhere"], 1, ["nowhere", "not running"]),
    (["logs"], 1, ["no deployment is running", "replicore up"]),
    (["restart", "r7"], 1, ["no deployment is running"]),
    (["down"], 1, ["no deployment is running"]),
    (["bench"], 1, ["no deployment is running", "--url"]),
    (["bench", "--url", "ftp://x"], 2, ["ftp://x"]),
    (["bench", "--url", "http://127.0.0.1:1"], 1, ["http://127.0.0.1:1"]),
    (["bench", "-n", "0", "--url", "http://127.0.0.1:1"], 2, ["requests", "0"]),
    (["gateway"], 2, ["endpoint"]),
    (["gateway", "--endpoint", "nowhere"], 2, ['"nowhere"', "http://127.0.0.1:8000"]),
    (["gateway", "--endpoint", "http://a:1/x"], 2, ["http://a:1/x", "path"]),
    (["gateway", "--endpoint", "http://a:1/v1", "--endpoint", "http://a:1"], 2, ["twice"]),
    (["gateway", "--endpoint", "http://a:1", "--policy", "x"], 2, ["policy", '"x"']),
    (["gateway", "--endpoint", "http://a:1", "--set", "gateway.queue_timeout=x"], 2, ['"x"']),
    (["gateway", "--endpoint", "http://a:1", "--endpoint", "http://a:1"], 2, ["http://a:1"]),
    (["sim", "--fault", "crash-after-request=1"], 2, ["crash-after-requests"]),
    (["init", "/nowhere/at/all.toml"], 2, ["/nowhere/at/all.toml"]),
]


def check(errors: str, must_contain: list[str]) -> None:
    """Check that stderr is an error sentence and perhaps a hint, and says what it must."""
    problem, _, hint = errors.partition("\n\nhint: ")
    assert problem.startswith("error: ")
    assert len(problem.splitlines()) == 1
    assert not problem.endswith(".")
    assert "Traceback" not in errors
    assert "unexpected" not in problem
    for words in must_contain:
        assert words.casefold() in (problem + hint).casefold()


@pytest.mark.parametrize(
    ("argv", "code", "must_contain"),
    BAD_COMMAND_LINES,
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else str(value),
)
def test_a_wrong_command_line_is_one_sentence_and_a_way_out(
    argv: list[str],
    code: int,
    must_contain: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)

    assert run(argv) == code

    check(capsys.readouterr().err, must_contain)


@pytest.mark.parametrize(("text", "must_contain"), BAD_SPECS)
def test_up_with_a_wrong_spec_is_one_sentence_and_exit_code_2(
    text: str | bytes,
    must_contain: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "serve.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)

    assert run(["up", str(path)]) == 2

    check(capsys.readouterr().err, ["serve.toml", *must_contain])


def test_the_command_itself_exits_with_the_code() -> None:
    command = [sys.executable, "-m", "replicore", "up", "--replicas", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert done.stdout == ""
    check(done.stderr, ["layout.replicas"])


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    assert "Commands:" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("replicore ")
