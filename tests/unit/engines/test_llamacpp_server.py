from __future__ import annotations

import pytest
import xllamacpp

from replicore.engines.llamacpp_server import OptionError, main, set_options


def params_with(*assignments: str) -> xllamacpp.CommonParams:
    params = xllamacpp.CommonParams()
    set_options(params, assignments)
    return params


def test_options_of_each_type_are_set() -> None:
    params = params_with(
        "n_batch=512",
        "warmup=off",
        "sampling.temp=0.5",
        "chat_template=chatml",
        'antiprompt=["a", "b"]',
        'model_alias=["m"]',
        "speculative.draft.cpuparams.poll=0",
    )

    assert params.n_batch == 512
    assert params.warmup is False
    assert params.sampling.temp == 0.5
    assert params.chat_template == "chatml"
    assert params.antiprompt == ["a", "b"]
    assert params.model_alias == {"m"}
    assert params.speculative.draft.cpuparams.poll == 0


@pytest.mark.parametrize("value", ["q8_0", "Q8_0", "GGML_TYPE_Q8_0", "ggml-type-q8-0"])
def test_enum_is_taken_by_its_short_and_its_whole_name(value: str) -> None:
    assert params_with(f"cache_type_k={value}").cache_type_k == xllamacpp.ggml_type.GGML_TYPE_Q8_0


def test_list_of_fixed_length_keeps_its_end() -> None:
    split = params_with("tensor_split=[1, 2.5]").tensor_split

    assert split[:3] == [1.0, 2.5, 0.0]
    assert len(split) == len(xllamacpp.CommonParams().tensor_split)


def test_list_of_enums_is_taken_by_names() -> None:
    params = params_with('speculative.types=["ngram_simple"]')

    assert [kind.name for kind in params.speculative.types] == [
        "COMMON_SPECULATIVE_TYPE_NGRAM_SIMPLE"
    ]


def test_lora_adapters_are_objects() -> None:
    (adapter,) = params_with('lora_adapters=[{"path": "a.gguf", "scale": 0.5}]').lora_adapters

    assert (adapter.path, adapter.scale) == ("a.gguf", 0.5)


def test_values_of_template_arguments_are_kept_as_json() -> None:
    params = params_with('default_template_kwargs={"enable_thinking": false, "style": "x"}')

    assert params.default_template_kwargs == {"enable_thinking": "false", "style": '"x"'}


def test_no_in_front_of_a_flag_turns_it_off() -> None:
    assert params_with("no_warmup=true").warmup is False


def test_option_whose_own_name_starts_with_no_is_turned_on() -> None:
    assert params_with("no_perf=true").no_perf is True


def test_of_an_option_given_twice_the_last_counts() -> None:
    assert params_with("n_batch=8", "n_batch=16").n_batch == 16


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("n_bach=16", "--n-bach is not an option of llama.cpp; did you mean --n-batch?"),
        ("sampling.tmp=1", "--sampling.tmp is not an option .* did you mean --sampling.temp?"),
        ("zzz=1", "--zzz is not an option of llama.cpp$"),
        ("__class__=1", "----class-- is not an option"),
        ("model=x", "--model is a group of options: --model.docker-repo, .*--model.path"),
        ("n_batch=1.5", "--n-batch: '1.5' is not an integer"),
        ("n_batch=99999999999", "--n-batch: llama.cpp refuses '99999999999'"),
        ("sampling.temp=warm", "--sampling.temp: 'warm' is not a number"),
        ("warmup=maybe", "--warmup: 'maybe' is not true or false"),
        ("no_n_batch=true", "--no-n-batch is not an option"),
        ("cache_type_k=q9", "--cache-type-k: 'q9' is not one of f32, f16, "),
        ("antiprompt=a", "--antiprompt: 'a' is not a JSON list"),
        ("default_template_kwargs=[]", "--default-template-kwargs: .* is not a JSON object"),
        ('lora_adapters=[{"pat": "x"}]', "--lora-adapters: llama.cpp refuses .*'pat'"),
    ],
)
def test_wrong_option_is_refused_with_what_would_work(assignment: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        params_with(assignment)


def test_check_of_right_options_exits_with_0() -> None:
    assert main(["--check", "n_batch=16"]) == 0


def test_wrong_option_exits_with_2_and_says_why(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["n_batch=x"]) == 2
    assert capfd.readouterr().err == "--n-batch: 'x' is not an integer\n"
