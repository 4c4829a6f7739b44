from __future__ import annotations

from pathlib import Path

import pytest

from replicore.errors import ConfigError
from replicore.models.source import BuiltinSource, HubSource, LocalSource, Source, parse_source


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("builtin:smollm2-135m", BuiltinSource("smollm2-135m")),
        ("model.gguf", LocalSource(Path("model.gguf"))),
        ("models/model.gguf", LocalSource(Path("models/model.gguf"))),
        ("/models/llama", LocalSource(Path("/models/llama"))),
        ("./llama", LocalSource(Path("llama"))),
        ("meta-llama/Llama-3.3-70B", HubSource("meta-llama/Llama-3.3-70B", None)),
        ("org/tiny:Q4_K_M", HubSource("org/tiny", "Q4_K_M")),
        ("Org_1/Tiny-2.5_b:Q4_K_M", HubSource("Org_1/Tiny-2.5_b", "Q4_K_M")),
        ("org/tiny:sub/tiny-Q8_0.gguf", HubSource("org/tiny", "sub/tiny-Q8_0.gguf")),
    ],
)
def test_source_is_known_by_its_form(text: str, expected: Source) -> None:
    assert parse_source(text) == expected


def test_home_folder_is_written_as_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")

    assert parse_source("~/m.gguf") == LocalSource(Path("/home/ada/m.gguf"))


def test_folder_that_exists_wins_over_a_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "org/tiny").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)

    assert parse_source("org/tiny") == LocalSource(Path("org/tiny"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "llama",
        "a/b/c",
        "org/",
        "org/tiny:",
        "bad id/x",
        "a/b..c",
        "a/b.git",
        f"a/{97 * 'b'}",
        9999 * "a",
        "\0",
    ],
)
def test_source_of_no_known_form_lists_the_forms(text: str) -> None:
    with pytest.raises(ConfigError, match=r"is none of: builtin:NAME, a folder, a \.gguf file"):
        parse_source(text)


def test_unknown_builtin_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="unknown built-in model") as caught:
        parse_source("builtin:smollm-135m")

    assert caught.value.hint == 'did you mean "builtin:smollm2-135m"?'


def test_builtin_without_its_prefix_is_recognised() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_source("SmolLM2-135M")

    assert caught.value.hint == 'did you mean "builtin:smollm2-135m"?'
