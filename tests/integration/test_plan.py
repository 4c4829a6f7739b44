"""``replicore plan`` as a user runs it, of this machine and others; and that ``up`` agrees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from replicore.cli import run
from replicore.deploy.deployment import prepare
from replicore.deploy.layout import choose_layout
from replicore.deploy.question import question_of
from replicore.errors import InfeasiblePlan
from replicore.planner.files.load import FOLDER_VARIABLE
from replicore.spec import Spec, load_spec
from tests.integration.deployment import up

EXAMPLES = Path(__file__).parents[2] / "examples"
TRN2 = EXAMPLES / "llama70b-trn2.toml"

H100 = {
    "engine.kind": "vllm",
    "engine.vllm.devices": "8xH100",
    "model.source": "meta-llama/Llama-3.3-70B-Instruct",
}


@pytest.fixture(autouse=True)
def _no_calibrations_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "calibrations"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def settings(**keys: str) -> list[str]:
    given = H100 | keys
    return [word for key, value in given.items() for word in ("--set", f"{key}={value}")]


def planned(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return what a plan prints."""
    assert run(["plan", *arguments]) == 0
    return capsys.readouterr().out


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(planned(capsys, *arguments, "--json"))
    return found


def test_the_recommendation_is_first_then_layouts_then_what_cannot_be_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, *rest = planned(capsys, str(TRN2)).splitlines()

    assert first.startswith("2 x TP32 with batch 4 ")
    text = "\n".join(rest)
    assert text.index("2x32x4 (spec)") < text.index("4x16x2") < text.index("not TP1: rank 0 needs")
    assert "calibrated from: " in text


def test_the_tutorials_four_replicas_are_up_to_twice_its_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """AWS: from DP 1 x TP 64 to DP 4 x TP 16 at batch 1 and 4, up to twice, with higher TTFT."""
    for batch in (1, 4):
        one, _, four = _tutorials(capsys, batch)

        assert 1.3 < four["tokens_per_s"]["value"] / one["tokens_per_s"]["value"] < 2.3
        assert four["ttft_s"]["value"] > one["ttft_s"]["value"]


def test_the_documents_table_of_the_tutorials_case_is_what_is_planned(
    capsys: pytest.CaptureFixture[str],
) -> None:
    batches = [
        [
            f"{service['tokens_per_s']['value']:.0f}, {service['ttft_s']['value']:.2f} s, "
            f"{1e3 * service['tpot_s']['value']:.1f} ms"
            for service in _tutorials(capsys, batch)
        ]
        for batch in (1, 4)
    ]

    page = (EXAMPLES.parent / "docs" / "planner.md").read_text(encoding="utf-8")
    for layout, *cells in zip(("1 x TP64", "2 x TP32", "4 x TP16"), *batches, strict=True):
        assert f"| {layout} | {' | '.join(cells)} |" in page


def _tutorials(capsys: pytest.CaptureFixture[str], batch: int) -> list[dict[str, Any]]:
    """Return what is planned for one, two and four replicas with every slot taken."""
    return [
        _layout(
            document(capsys, str(TRN2), "-c", str(batch * replicas)),
            f"{replicas}x{64 // replicas}x{batch}",
        )
        for replicas in (1, 2, 4)
    ]


def _layout(found: dict[str, Any], size: str) -> dict[str, Any]:
    (service,) = [each["service"] for each in found["layouts"] if each["layout"] == size]
    assert isinstance(service, dict)
    return service


def test_a_document_has_every_layout_with_memory_and_times_or_a_refusal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = document(capsys, *settings())

    assert found["schema"] == "replicore-plan/1"
    assert found["best"] == found["layouts"][0]
    for layout in found["layouts"]:
        assert (layout["service"] is None) == (layout["refusal"] is not None)
        if layout["service"] is not None:
            assert sum(layout["service"]["shares"].values()) == pytest.approx(1, abs=0.001)
            assert layout["memory"]["weights"] > 0


def test_limits_and_load_of_the_command_line_go_before_those_of_the_spec(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = document(capsys, str(TRN2), "--slo", "tpot=25ms", "-c", "3", "--risk", "10%")

    assert found["question"]["slo"] == {"ttft_p99_s": None, "tpot_p99_s": 0.025}
    assert found["question"]["load"] == {"concurrency": 3, "rate_per_s": None}
    assert found["question"]["risk"] == pytest.approx(0.1)


def test_another_machine_is_planned_for_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    model = ["--set", "model.source=meta-llama/Llama-3.1-8B-Instruct"]

    found = document(capsys, *model, "--hardware", "4xMI300X")

    assert found["question"]["device"]["key"] == "mi300x"
    assert found["question"]["cores"] == 4
    assert {layout["tp"] for layout in found["layouts"]} == {1, 2, 4}


def test_a_layout_is_broken_down_to_memory_and_terms(capsys: pytest.CaptureFixture[str]) -> None:
    text = planned(capsys, str(TRN2), "--explain", "1x64x4")

    assert text.startswith("1x64x4 of llama-3.3-70b")
    for word in ("KV cache", "of 24.00 GiB", "TPOT with 4 sequences", "factor", "latency of the"):
        assert word in text


def test_a_layout_that_cannot_be_run_is_explained_by_its_refusal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = planned(capsys, str(TRN2), "--explain", "1x4x1")

    assert "cannot be run: rank 0 needs" in text
    assert "TPOT" not in text


def test_a_rate_takes_so_many_machines_one_of_them_to_spare(
    capsys: pytest.CaptureFixture[str],
) -> None:
    (first, *_) = document(capsys, *settings(), "--rate", "60", "--slo", "ttft=3s,tpot=60ms")[
        "fleets"
    ]

    assert first["machines"] > 1
    assert first["after_failure"]["utilisation"] <= 0.9
    assert first["replicas"] - first["lost"] >= first["needed"]


def test_an_impossible_limit_says_what_is_nearest_and_what_is_in_the_way(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = planned(capsys, str(TRN2), "--slo", "tpot=1ms")

    assert text.startswith("no layout is likely to meet the SLO: 1 x TP64 with batch 1")
    assert "of TPOT" in text


def test_a_laptop_is_planned_for_too(capsys: pytest.CaptureFixture[str]) -> None:
    text = planned(capsys, str(EXAMPLES / "laptop.toml"))

    assert "output tok/s" in text
    assert "no SLO is stated" in text


@pytest.mark.parametrize("load", [(), ("--set", "workload.concurrency=2")])
def test_up_starts_what_a_plan_of_the_same_spec_recommends(
    load: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = {
        "engine.kind": "sim",
        "engine.sim.profile": "h100",
        "layout.replicas": "auto",
        "layout.tp": "auto",
        "layout.batch_size": "8",
    }
    given = [*(word for key, value in keys.items() for word in ("--set", f"{key}={value}")), *load]
    best = document(capsys, *given)["best"]

    with up(*given, state=tmp_path / "state") as at:
        layout = at.status().layout

    started = (layout.replicas, layout.tp, layout.batch_size)
    assert started == (best["replicas"], best["tp"], best["batch_size"])


def test_without_limits_the_specs_slots_are_kept_and_others_would_change_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = document(capsys, *settings(**{"layout.batch_size": "16"}))

    (other,) = [each for each in found["changes"] if each["change"] == "any other batch_size"]
    assert found["best"]["batch_size"] == 16
    assert not other["layout"].endswith("x16")


def test_slots_of_the_spec_that_nothing_holds_are_replaced_and_the_key_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = " ".join(planned(capsys, "--set", "layout.batch_size=1000000").split())

    assert "layout.batch_size = 64, and the spec has 1000000" in text
    assert "so output tok/s alone decide" in text


def test_vllm_on_cpu_cores_has_a_cache_of_the_specs_size_whatever_the_slots(
    capsys: pytest.CaptureFixture[str],
) -> None:
    keys = {"engine.kind": "vllm", "engine.vllm.device": "cpu"}
    model = {"model.source": "Qwen/Qwen2.5-0.5B-Instruct", "engine.vllm.cpu_kv_cache": "2GiB"}
    given = [w for key, value in {**keys, **model}.items() for w in ("--set", f"{key}={value}")]

    for layout in document(capsys, *given)["layouts"]:
        memory = layout["memory"]
        assert layout["refusal"] or layout["tp"] * memory["kv"] == 2 * 2**30
        assert layout["refusal"] or memory["left"] >= 0


def test_nothing_that_fits_is_an_error_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    small = settings(**{"engine.vllm.devices": "1xL40S"})

    assert run(["plan", *small]) == 2
    assert "no layout can be run: with 1 x TP1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rate", "40", "-c", "4"], ["--rate", "--concurrency"]),
        (["--rate", "0"], ["--rate", "40"]),
        (["--rate", "1e308"], ["--rate", "10,000,000"]),
        (["--risk", "150%"], ["--risk", "150%", "5%"]),
        (["--slo", "ttft"], ["--slo", "ttft=2s"]),
        (["--explain", "9x9"], ["--explain", "9x9"]),
        (["--set", "engine.vllm.devices=8xH999"], ["engine.vllm.devices", "H999"]),
        (["--set", "engine.vllm.devices=8x80GiB"], ["no device", "--hardware"]),
        (["--set", "model.source=nobody/nothing-7b"], ["nobody/nothing-7b"]),
        (["--set", "layout.max_model_len=64"], ["layout.max_model_len", "64"]),
        (["--calibration", "nowhere.toml"], ["nowhere.toml cannot be read: No such file"]),
        (["--what-if", "nowhere.json=2x1", "1x2"], ["nowhere.json", "cannot be read"]),
        (["--hardware", "8xH900"], ["--hardware", '"8xH900"', '"h200"']),
        (["--hardware", "trn9.48xlarge"], ["--hardware", '"trn2.48xlarge"']),
        (["--hardware", "8xtrn2"], ["--hardware", '"trn2.48xlarge"']),
        (["--hardware", "abacus"], ["--hardware", '"abacus"', '"h100"']),
    ],
)
def test_wrong_usage_is_one_sentence_with_a_way_out(
    arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["plan", *settings(), *arguments]) in (1, 2)

    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert all(word in error for word in words), error


SPECS = {
    "trn2": {"": ""},
    "h100": H100 | {"model.source": "meta-llama/Llama-3.1-8B-Instruct"},
    "qwen": H100 | {"model.source": "Qwen/Qwen2.5-7B-Instruct"},
    "one-device": H100 | {"engine.vllm.devices": "2xH200"},
    "shared": H100
    | {
        "model.source": "Qwen/Qwen2.5-0.5B-Instruct",
        "engine.vllm.replicas_per_device": "2",
    },
}


def spec_of(name: str) -> Spec:
    if name == "trn2":
        return load_spec(TRN2, environ={}, overrides={})
    return load_spec(None, environ={}, overrides=SPECS[name])


@pytest.mark.parametrize("name", SPECS)
def test_up_takes_every_layout_that_a_plan_has_and_no_tp_that_it_refuses(name: str) -> None:
    prepared = prepare(spec_of(name), outline=True)
    question = question_of(prepared)

    for degree in question.degrees:
        memory_refuses = question.memory(
            replicas=1,
            tp=degree.tp,
            batch_size=prepared.spec.layout.batch_size,
            max_model_len=question.max_model_len,
        )[1]
        runs = not degree.refusal and degree.replicas > 0 and not memory_refuses
        assert runs == _up_takes(prepared.spec, degree.tp), degree


def _up_takes(spec: Spec, tp: int) -> bool:
    prepared = prepare(spec, outline=True)
    try:
        choose_layout(
            spec.layout.model_copy(update={"replicas": 1, "tp": tp}),
            prepared.machine,
            prepared.model.shape,
            legal_tp=prepared.legal_tp,
            memory_bytes=lambda **sizes: prepared.engine.memory_bytes(
                prepared.model.shape, **sizes
            ),
        )
    except InfeasiblePlan:
        return False
    return True
