"""``replicore bench`` over the simulator: what it prints, writes and exits with."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from replicore.cli import run
from replicore.cores import NO_CORES
from replicore.deploy.control import ControlServer
from replicore.deploy.state import Claims, state_root
from replicore.deploy.status import LayoutStatus, Status, UnitStatus

SMALL = ["-n", "8", "-c", "2", "--input-tokens", "16", "--output-tokens", "8", "--no-calibrate"]


@contextmanager
def simulator(*options: str) -> Iterator[str]:
    """Run a simulator as a process of its own; yield its URL."""
    argv = [sys.executable, "-m", "replicore.engines.sim", "--port", "0", *options]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()
            process.wait(10)


Start = Callable[..., str]


@pytest.fixture(name="start")
def _start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts simulators; the working directory and the state folder are empty ones."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REPLICORE_STATE_DIR", str(tmp_path / "state"))
    with ExitStack() as stack:
        yield lambda *options: stack.enter_context(simulator(*options))


class FakeDeployment:
    """A deployment of two replicas with three slots each, as its control socket shows it."""

    def __init__(self, url: str) -> None:
        self._url = url

    def status(self) -> Status:
        gateway = UnitStatus(
            name="gateway", state="ready", state_s=1, cores="", endpoint=self._url, incarnation=1
        )
        layout = LayoutStatus(replicas=2, tp=1, batch_size=3, max_model_len=512, reason="given")
        return Status(
            name="pair",
            url=f"{self._url}/v1",
            pid=os.getpid(),
            uptime_s=1,
            ready=True,
            model="simulated",
            engine="sim",
            simulated=True,
            layout=layout,
            replicas=(),
            gateways=(gateway,),
        )

    async def restart(self, replica: str | None) -> None: ...

    def ask_to_stop(self) -> None: ...

    def drain(self, replica: str, drained: bool) -> None: ...

    async def wait_drained(self, replica: str) -> None: ...


@contextmanager
def deployed(url: str) -> Iterator[None]:
    """Serve the control socket of a deployment named ``pair`` in a thread of its own."""
    with Claims(state_root()) as claims:
        folder = claims.claim("pair", "sim", NO_CORES)
    opened, stop = threading.Event(), asyncio.Event()

    async def serve() -> None:
        server = ControlServer(FakeDeployment(url))
        await server.open(folder.path)
        loops.append(asyncio.get_running_loop())
        opened.set()
        await stop.wait()
        server.close()

    loops: list[asyncio.AbstractEventLoop] = []
    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert opened.wait(10)
        yield
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(10)
        folder.close()


def read_result(folder: Path) -> dict[str, Any]:
    (path,) = folder.glob("*.json")
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def test_bench_prints_a_table_and_writes_the_result(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(["bench", "--url", f"{start()}/v1", *SMALL, "--calibrate"])
    printed = capsys.readouterr()

    assert code == 0
    assert "simulated (simulated): 8 requests, 2 at a time, 16 tokens in, 8 out" in printed.out
    assert "seed: " in printed.out
    assert "8/8 requests" in printed.err
    result = read_result(Path("results"))
    assert result["summary"]["total"]["succeeded"] == 8
    assert f"\n{result['verdict']['kind']}: " in printed.out
    assert result["verdict"]["kind"] != "VALID"  # of eight requests, whatever else is wrong
    assert result["run"]["simulated"] is True
    assert result["run"]["calibration"]["streams"] == 2
    assert [record["input_tokens"] for record in result["records"]] == [16] * 8


def test_bench_json_is_the_only_thing_on_stdout(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(["bench", "--url", start(), *SMALL, "--seed", "5", "-o", "here.json", "--json"])
    printed = capsys.readouterr().out

    assert code == 0
    assert json.loads(printed) == json.loads(Path("here.json").read_bytes())
    assert json.loads(printed)["run"]["workload"]["seed"] == 5


def test_bench_measures_the_running_deployment_with_all_its_slots(start: Start) -> None:
    with deployed(start()):
        code = run(["bench", "--input-tokens", "16", "--output-tokens", "4"])

    run_fields = read_result(Path("results"))["run"]
    assert code == 0
    # 2 replicas with 3 slots each; the spec's 64 requests are more than 10 for each slot.
    assert (run_fields["load"]["concurrency"], run_fields["requests"]) == (6, 64)
    assert [path.name.startswith("bench-pair-") for path in Path("results").iterdir()] == [True]


def test_bench_writes_records_as_lines(start: Start) -> None:
    code = run(["bench", "--url", start(), *SMALL, "--warmup", "1", "--records", "r.jsonl"])

    assert code == 0
    lines = [json.loads(line) for line in Path("r.jsonl").read_text().splitlines()]
    assert [line["warmup"] for line in lines] == [True] + [False] * 8
    assert "records" not in read_result(Path("results"))


def test_bench_of_two_urls_has_a_row_for_each(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = start(), start()
    code = run(["bench", "--url", f"{first};{second}", *SMALL])
    printed = capsys.readouterr().out

    assert code == 0
    assert first.removeprefix("http://") in printed
    assert second.removeprefix("http://") in printed


def test_bench_counts_several_tokens_of_one_chunk(start: Start) -> None:
    code = run(["bench", "--url", start("--fault", "tokens-per-chunk=4"), *SMALL])

    assert code == 0
    record = read_result(Path("results"))["records"][0]
    assert (record["output_tokens"], sum(record["chunk_tokens"])) == (8, 8)
    assert len(record["chunk_times_s"]) == 2


def test_bench_chat_measures_with_prompts_of_exact_length(start: Start) -> None:
    code = run(["bench", "--url", start(), *SMALL, "--api", "chat"])

    result = read_result(Path("results"))
    assert (code, result["run"]["exact_prompts"]) == (0, True)
    assert [record["input_tokens"] for record in result["records"]] == [16] * 8


def test_bench_writes_a_page(start: Start) -> None:
    code = run(["bench", "--url", start(), *SMALL, "--html", "run.html"])

    page = Path("run.html").read_text(encoding="utf-8")
    assert code == 0
    assert page.startswith("<!doctype html>")
    assert read_result(Path("results"))["verdict"]["kind"] in page


def test_bench_by_arrivals_counts_latencies_from_the_plan(start: Start) -> None:
    options = ["--arrivals", "poisson:200", "-n", "20", "--input-tokens", "uniform:4..8"]
    code = run(["bench", "--url", start(), *options, "--output-tokens", "2", "--no-calibrate"])

    result = read_result(Path("results"))
    assert code == 0
    assert result["summary"]["latency_from"] == "intended"
    assert len(result["records"]) == result["summary"]["total"]["succeeded"] == 20


def test_bench_with_a_replica_crashing_midway_records_every_request(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    mortal, steady = start("--fault", "crash-after-requests=5"), start()
    options = ["-n", "30", "-c", "4", "--input-tokens", "16", "--output-tokens", "8"]
    code = run(["bench", "--url", f"{mortal};{steady}", *options])
    result = read_result(Path("results"))

    assert code == 0
    total = result["summary"]["total"]
    assert total["requests"] == len(result["records"]) == 30
    assert 1 <= total["errors"] <= 9
    assert set(result["summary"]["errors"]) <= {"connect", "disconnect", "cut"}
    assert "cannot connect" in capsys.readouterr().out


# SAD PATH


def test_bench_that_nothing_answered_exits_with_one_and_still_writes_the_result(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(["bench", "--url", start("--fault", "reject=2"), *SMALL])
    printed = capsys.readouterr()

    assert code == 1
    assert "none of the 8 requests was answered" in printed.err
    assert "8 × http_503: status 503: simulated fault: reject" in printed.out
    assert read_result(Path("results"))["summary"]["errors"] == {"http_503": 8}


def test_bench_of_a_server_that_refuses_even_a_short_prompt_says_what_it_said(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(["bench", "--url", start("--fault", "reject"), *SMALL])

    assert code == 1
    assert "status 503" in (said := capsys.readouterr().err)
    assert "simulated fault: reject" in said


def test_bench_without_a_deployment_says_what_would_work(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(["bench"])
    printed = capsys.readouterr().err

    assert code == 1
    assert "no deployment is running" in printed
    assert "`replicore up` starts a deployment; `--url` measures any other server" in printed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--url", ";"], '--url: ";" names no server'),
        (["--url", "http://127.0.0.1:1", "-n", "0"], "workload.requests"),
        (["--url", "http://127.0.0.1:1", "-c", "x"], "-c"),
        (["--url", "http://127.0.0.1:1", "--input-tokens", "0"], "--input-tokens: mean length 0"),
        (["--url", "http://127.0.0.1:1", "--arrivals", "often"], '--arrivals: arrivals "often"'),
        (["--url", "http://127.0.0.1:1", "--shared-prefixes", "4"], "COUNT:TOKENS"),
        (["--url", "http://127.0.0.1:1", "--data", "none.json"], "none.json"),
        (["--url", "http://127.0.0.1:1", "--timeout", "soon"], "--timeout"),
        (["--url", "http://127.0.0.1:1", "--warmup", "-1"], "warmup: -1"),
        (["--url", "ftp://x"], "ftp://x"),
        (["nowhere.toml"], "nowhere.toml"),
    ],
)
def test_bench_with_a_wrong_value_exits_with_two(
    start: Start, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    code = run(["bench", *options])

    assert code == 2
    assert message in capsys.readouterr().err


def test_bench_result_that_cannot_be_written_is_an_error_of_the_flag(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("folder").mkdir()
    code = run(["bench", "--url", start(), *SMALL, "-o", "folder"])

    assert code == 2
    assert "folder: cannot be written" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("processes", ["1", "2"])
def test_bench_ended_by_ctrl_c_writes_what_it_has(start: Start, processes: str) -> None:
    url = start()
    options = ["-n", "2000", "-c", "8", "--input-tokens", "16", "--output-tokens", "4"]
    argv = [sys.executable, "-m", "replicore", "bench", "--url", url, *options]
    argv += ["--processes", processes]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stderr is not None
        assert "/2000 requests" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)

    result = read_result(Path("results"))
    assert process.returncode == 130
    assert result["run"]["interrupted"] is True
    assert 0 < result["summary"]["total"]["succeeded"] < 2000
    assert result["summary"]["total"]["errors"] == 0
