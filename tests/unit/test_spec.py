from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicore.cores import CoreRange
from replicore.errors import SpecError
from replicore.spec import LayoutSpec, Spec, load_spec
from replicore.spec.keys import keys
from replicore.spec.toml import toml_value
from tests.unit.bad_specs import BAD_SPECS


@pytest.fixture(name="spec_file")
def _spec_file(tmp_path: Path) -> Path:
    return tmp_path / "serve.toml"


def load(path: Path, text: str, **environ: str) -> Spec:
    path.write_text(text, encoding="utf-8")
    return load_spec(path, environ=environ)


def refusal(path: Path | None, environ: dict[str, str], **overrides: str) -> SpecError:
    with pytest.raises(SpecError) as caught:
        load_spec(
            path, environ=environ, overrides={k.replace("__", "."): v for k, v in overrides.items()}
        )
    return caught.value


@pytest.mark.parametrize(("text", "parts"), BAD_SPECS, ids=range(len(BAD_SPECS)))
def test_bad_spec_is_refused_in_one_sentence(
    spec_file: Path, text: str, parts: tuple[str, ...]
) -> None:
    spec_file.write_text(text)

    message = refusal(spec_file, {}).message

    assert message.startswith(f"{spec_file}: ")
    assert all(part in message for part in parts), message
    assert "\n" not in message
    assert not message.endswith(".")
    assert "pydantic" not in message


def test_empty_file_is_the_defaults(spec_file: Path) -> None:
    assert Spec() == load(spec_file, "")


def test_every_value_of_the_design_page_is_read(spec_file: Path) -> None:
    spec = load(
        spec_file,
        """
        name = "llama70b"
        layout = { replicas = 2, tp = 32, cores = "0-63" }
        engine.neuron = { lnc = 2, kernels = ["qkv", "attn"] }
        gateway = { queue_timeout = "1m", max_body = "1MiB" }
        workload.input_tokens = { mean = 7936, stddev = 30 }
        slo.tpot_p99 = "60ms"
        """,
    )

    assert spec.layout == LayoutSpec(replicas=2, tp=32, cores=CoreRange.parse("0-63"))
    assert spec.engine.neuron.kernels == ("qkv", "attn")
    assert (spec.gateway.queue_timeout, spec.gateway.max_body) == (60.0, 1_048_576)
    assert spec.workload.input_tokens.mean == 7936
    assert spec.slo.tpot_p99 == 0.06


def test_spec_survives_a_trip_through_json() -> None:
    spec = load_spec(
        None, environ={"REPLICORE_LAYOUT__CORES": "0-3", "REPLICORE_SLO__TTFT_P99": "5"}
    )

    assert spec == Spec.model_validate_json(spec.model_dump_json())


def test_flag_wins_over_variable_over_file_over_default(spec_file: Path) -> None:
    spec_file.write_text("layout = { replicas = 2, tp = 2, batch_size = 2 }")

    spec = load_spec(
        spec_file,
        environ={"REPLICORE_LAYOUT__REPLICAS": "3", "REPLICORE_LAYOUT__TP": "3"},
        overrides={"layout.replicas": "4"},
    )

    assert spec.layout == LayoutSpec(replicas=4, tp=3, batch_size=2, max_model_len="auto")


@pytest.mark.parametrize(
    ("variable", "text", "section", "key", "value"),
    [
        ("REPLICORE_LAYOUT__TP", "2", "layout", "tp", 2),
        ("REPLICORE_LAYOUT__TP", "auto", "layout", "tp", "auto"),
        ("REPLICORE_LAYOUT__CORES", "0-3", "layout", "cores", CoreRange((0, 1, 2, 3))),
        ("REPLICORE_MODEL__OFFLINE", "true", "model", "offline", True),
        ("REPLICORE_MODEL__REVISION", "123", "model", "revision", "123"),
        ("REPLICORE_MODEL__REVISION", "", "model", "revision", None),
        ("REPLICORE_GATEWAY__QUEUE_TIMEOUT", "500ms", "gateway", "queue_timeout", 0.5),
        ("REPLICORE_ENGINE__ARGS", '["--a", "b"]', "engine", "args", ("--a", "b")),
        ("REPLICORE_ENGINE__ENV", '{ A = "1" }', "engine", "env", {"A": "1"}),
        ("REPLICORE_ENGINE__ENV__Ab__C", "1", "engine", "env", {"Ab__C": "1"}),
    ],
)
def test_variable_is_read_as_the_type_of_its_key(
    variable: str, text: str, section: str, key: str, value: object
) -> None:
    spec = load_spec(None, environ={variable: text})

    assert value == getattr(getattr(spec, section), key)


def test_every_key_has_a_variable_that_sets_it() -> None:
    settable = [key for key in keys().values() if not key.is_table]
    texts = {
        key.variable: key.example if isinstance(key.example, str) else toml_value(key.example)
        for key in settable
    }

    spec = load_spec(None, environ=texts)

    assert spec.engine.neuron.instance == "trn2.48xlarge"
    assert spec.engine.remote.endpoints == ("http://127.0.0.1:8001", "http://127.0.0.1:8002")


@pytest.mark.parametrize(
    ("variable", "remedy"),
    [
        ("REPLICORE_LAYOUT_TP", "did you mean REPLICORE_LAYOUT__TP?"),
        ("REPLICORE_LAYOUT__BATCHSIZE", "did you mean REPLICORE_LAYOUT__BATCH_SIZE?"),
        ("REPLICORE_STATEDIR", "did you mean REPLICORE_STATE_DIR?"),
        ("REPLICORE_XYZZY", "unset it"),
    ],
)
def test_unknown_variable_is_refused_with_the_nearest(variable: str, remedy: str) -> None:
    message = refusal(None, {variable: "2"}).message

    assert message == f"{variable}: no key of the spec has this variable; {remedy}"


def test_variables_of_others_and_of_the_program_itself_are_left_alone() -> None:
    environ = {"HOME": "/", "REPLICORE_STATE_DIR": "/s", "REPLICORE_DEBUG": "1"}

    assert Spec() == load_spec(None, environ=environ)


def test_error_names_the_variable_that_the_value_came_from(spec_file: Path) -> None:
    spec_file.write_text("layout.tp = 2")

    message = refusal(spec_file, {"REPLICORE_LAYOUT__TP": "0"}).message

    assert message.startswith("REPLICORE_LAYOUT__TP: layout.tp: 0 is less than 1")


def test_error_names_the_command_line_that_the_value_came_from(spec_file: Path) -> None:
    spec_file.write_text("layout.tp = 2")

    message = refusal(spec_file, {"REPLICORE_LAYOUT__TP": "0"}, layout__tp="x").message

    assert message.startswith('command line: layout.tp: "x" is not a whole number')


def test_unknown_override_is_refused_with_the_nearest() -> None:
    message = refusal(None, {}, layout__tpp="2").message

    assert message == "command line: layout.tpp: unknown key; did you mean layout.tp?"


def test_conflict_of_a_flag_with_a_default_names_the_command_line() -> None:
    message = refusal(None, {}, engine__kind="remote").message

    assert message.startswith("command line: engine.remote.endpoints: is empty")


def test_table_that_the_file_misspells_is_not_hidden_by_a_variable(spec_file: Path) -> None:
    spec_file.write_text("layout = 3")

    message = refusal(spec_file, {"REPLICORE_LAYOUT__TP": "2"}).message

    assert message.startswith(f"{spec_file}: layout: 3 is not a table")


def test_further_errors_of_a_file_are_in_the_hint(spec_file: Path) -> None:
    spec_file.write_text("prot = 1\n[layout]\ntp = 0\nbatch_size = 0")

    error = refusal(spec_file, {})

    assert "layout.tp: 0 is less than 1" in error.message
    assert error.hint is not None
    assert "layout.batch_size: 0 is less than 1" in error.hint
    assert "prot: unknown key; did you mean gateway.port?" in error.hint


def test_line_that_is_not_toml_is_shown_in_the_hint(spec_file: Path) -> None:
    spec_file.write_text("[layout]\ntp = two\n")

    assert refusal(spec_file, {}).hint == 'the line is "tp = two"'


def test_missing_file_is_refused_with_what_writes_one(spec_file: Path) -> None:
    error = refusal(spec_file, {})

    assert error.message == f"{spec_file}: there is no such file; give the path of a spec"
    assert error.hint == f"`replicore init {spec_file}` writes one"


@pytest.mark.parametrize("path", ["/", "/proc/1/mem", "\0", "x" * 5000])
def test_path_that_is_no_readable_file_is_refused(path: str) -> None:
    message = refusal(Path(path), {}).message

    assert message.startswith(f"{path}: ")


def test_file_that_is_not_utf8_is_refused(spec_file: Path) -> None:
    spec_file.write_bytes(b'name = "\xff"')

    assert "byte 8 is not UTF-8 text" in refusal(spec_file, {}).message


def test_byte_order_mark_and_windows_line_ends_are_read(spec_file: Path) -> None:
    spec_file.write_bytes(b'\xef\xbb\xbfname = "a"\r\n')

    assert load_spec(spec_file, environ={}).name == "a"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("./m.gguf", "{folder}/m.gguf"),
        ("m.gguf", "{folder}/m.gguf"),
        ("/models/m.gguf", "/models/m.gguf"),
        ("org/name", "org/name"),
        ("builtin:smollm2-135m", "builtin:smollm2-135m"),
    ],
)
def test_relative_model_path_in_a_file_starts_at_its_folder(
    spec_file: Path, source: str, expected: str
) -> None:
    spec = load(spec_file, f'model.source = "{source}"')

    assert spec.model.source == expected.format(folder=spec_file.parent)


def test_relative_path_in_a_flag_starts_at_the_working_directory(
    spec_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec_file.write_text('gateway.api_keys_file = "keys.txt"\nengine.python = "venv/bin/python"')
    monkeypatch.chdir("/")

    spec = load_spec(spec_file, environ={}, overrides={"engine.python": "venv/bin/python"})

    assert spec.gateway.api_keys_file == spec_file.parent / "keys.txt"
    assert spec.engine.python == Path("/venv/bin/python")


def test_home_folder_is_filled_in_and_a_bare_program_is_left_to_the_search_path(
    spec_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/ada")

    spec = load(spec_file, 'model.source = "~/m.gguf"\nengine.python = "python3"')

    assert spec.model.source == "/home/ada/m.gguf"
    assert spec.engine.python == Path("python3")


def test_base_url_is_kept_without_a_trailing_slash(spec_file: Path) -> None:
    spec = load(spec_file, 'engine.remote.endpoints = ["http://h:1/"]')

    assert spec.engine.remote.endpoints == ("http://h:1",)


def test_default_workload_does_not_forbid_a_short_context(spec_file: Path) -> None:
    assert load(spec_file, "layout.max_model_len = 64").layout.max_model_len == 64


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


@given(st.sampled_from([key.dotted for key in keys().values()]) | st.text(), VALUES)
def test_any_value_of_any_key_loads_or_is_refused_in_one_line(key: str, value: object) -> None:
    message = ""
    try:
        load_spec(None, environ={}, overrides={key: value})
    except SpecError as error:
        message = error.message

    assert message.isprintable()
    assert len(message) < 500
    assert "of the right type" not in message


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.booleans())))
def test_written_toml_reads_back_as_the_same_value(value: dict[str, object]) -> None:
    assert {"x": value} == tomllib.loads(f"x = {toml_value(value)}")
