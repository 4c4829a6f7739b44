from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from replicore.cli import run

EXAMPLES = Path(__file__).parents[3] / "examples"
TUTORIAL = ["render", str(EXAMPLES / "llama70b-trn2.toml")]
MODEL = ["--set", "model.source=/ubuntu/model_hf/Llama-3.3-70B-Instruct"]

Capture = pytest.CaptureFixture[str]


def test_tutorial_is_printed_as_scripts_with_their_names(capsys: Capture) -> None:
    assert run([*TUTORIAL, *MODEL]) == 0
    printed = capsys.readouterr().out

    names = [line.split()[2] for line in printed.splitlines() if line.startswith("# ==>")]
    assert names == [
        "settings.sh",
        "functions.sh",
        "commands.sh",
        "compile.sh",
        "serve.sh",
        "gateway.sh",
        "bench.sh",
    ]


def test_where_the_sizes_are_from_is_said_apart_from_the_files(capsys: Capture) -> None:
    run([*TUTORIAL, *MODEL])

    assert "model: sizes from the catalogue" in capsys.readouterr().err


def test_scripts_are_written_to_a_folder_as_programs(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"

    assert run([*TUTORIAL, *MODEL, "-o", str(folder)]) == 0
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert (modes["serve.sh"], modes["settings.sh"]) == (0o755, 0o644)


def test_rendering_again_leaves_what_the_user_has_written(tmp_path: Path) -> None:
    (tmp_path / "local.sh").write_text("MODEL=/elsewhere\n")
    for _ in range(2):
        assert run([*TUTORIAL, *MODEL, "-o", str(tmp_path)]) == 0

    assert (tmp_path / "local.sh").read_text() == "MODEL=/elsewhere\n"


def test_folder_that_cannot_be_is_refused(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "file").touch()

    assert run([*TUTORIAL, *MODEL, "-o", str(tmp_path / "file" / "folder")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_manifests_are_one_stream_of_yaml(capsys: Capture) -> None:
    assert run([*TUTORIAL, *MODEL, "--format", "k8s", "--image", "a:1"]) == 0
    kinds = [found["kind"] for found in yaml.safe_load_all(capsys.readouterr().out)]

    assert {"StatefulSet", "Deployment", "Service"} <= set(kinds)


def test_leader_worker_set_is_a_format_of_its_own(capsys: Capture) -> None:
    assert run([*TUTORIAL, *MODEL, "--format", "lws", "--image", "a:1"]) == 0

    assert "kind: LeaderWorkerSet" in capsys.readouterr().out


def test_pods_without_an_image_are_refused(capsys: Capture) -> None:
    assert run([*TUTORIAL, *MODEL, "--format", "k8s"]) == 2

    assert "--image is needed" in capsys.readouterr().err


def test_engine_of_replicores_own_image_needs_no_other(capsys: Capture) -> None:
    arguments = ["--format", "k8s", "--set", "engine.kind=sim", "--gateway-image", "own:1"]

    assert run(["render", *arguments]) == 0
    assert "image: own:1" in capsys.readouterr().out


def test_spec_that_cannot_work_is_refused_and_not_rendered(capsys: Capture) -> None:
    assert run([*TUTORIAL, *MODEL, "--set", "layout.tp=24"]) != 0

    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("format_", ["shell", "systemd", "k8s", "lws"])
@pytest.mark.parametrize("example", ["llama8b-inf2", "llama70b-trn2-sim", "simulated"])
def test_examples_are_rendered_in_every_form(example: str, format_: str, tmp_path: Path) -> None:
    spec = str(EXAMPLES / f"{example}.toml")

    assert run(["render", spec, "--format", format_, "--image", "a:1", "-o", str(tmp_path)]) == 0
    assert any(tmp_path.iterdir())


def test_interpreter_of_this_machine_is_named_where_none_is_set(capsys: Capture) -> None:
    assert run(["render", "--set", "engine.kind=sim"]) == 0

    assert "set engine.python" in capsys.readouterr().err


def test_unknown_format_is_refused_with_those_that_there_are(capsys: Capture) -> None:
    assert run(["render", "--format", "helm"]) == 2

    said = capsys.readouterr().err
    assert said.startswith("error: invalid value for '--format': 'helm' is not one of 'shell'")
