from __future__ import annotations

import pytest

from replicore.engines.vllm.options import (
    OWNED,
    check_known,
    has_prefix_cache,
    is_eager,
    parse_options,
)
from replicore.errors import ConfigError


@pytest.mark.parametrize(
    ("args", "options"),
    [
        ([], {}),
        (["--seed", "7"], {"--seed": "7"}),
        (["--seed=7"], {"--seed": "7"}),
        (["--seed", "-1"], {"--seed": "-1"}),
        (["--enforce_eager"], {"--enforce-eager": "true"}),
        (["--block-size", "16", "--block-size=32"], {"--block-size": "32"}),
        (["--hf-overrides.rope_scaling.factor", "2"], {"--hf-overrides": "2"}),
        (["--mm-list+", "a"], {"--mm-list": "a"}),
        (["--lora-modules", "a=b", "c=d"], {"--lora-modules": "a=b"}),
        (["-O3", "-cc.mode=none"], {"-O": "true", "-cc": "none"}),
        (["--hf-overrides", '{"a": 1}'], {"--hf-overrides": '{"a": 1}'}),
    ],
)
def test_args_are_read_as_vllm_reads_them(args: list[str], options: dict[str, str]) -> None:
    assert parse_options(args) == options


@pytest.mark.parametrize("name", OWNED)
def test_option_that_the_plan_decides_is_refused_with_its_key(name: str) -> None:
    with pytest.raises(ConfigError, match=f"engine.args: {name} is set by .* {OWNED[name]};"):
        parse_options([name, "x"])


@pytest.mark.parametrize("word", ["--tensor_parallel_size=2", "-tp=2", "--max-model-len=auto"])
def test_planned_option_in_another_spelling_is_refused(word: str) -> None:
    with pytest.raises(ConfigError, match="is set by replicore from layout"):
        parse_options([word])


@pytest.mark.parametrize("word", ["--nnodes=2", "-dpl", "--data-parallel-address", "-asc"])
def test_option_of_a_spread_server_is_refused(word: str) -> None:
    with pytest.raises(ConfigError, match="is for servers of several machines or processes"):
        parse_options([word])


def test_a_word_before_the_first_option_is_refused() -> None:
    with pytest.raises(ConfigError, match=r'engine.args: "some/model" is not an option'):
        parse_options(["some/model", "--seed=1"])


def test_unknown_option_is_refused_with_the_nearest() -> None:
    with pytest.raises(
        ConfigError, match=r"--block-siez is not .* 0\.11\.0; did you mean --block-s"
    ):
        check_known(["--block-siez"], {"--block-size", "--seed"}, "0.11.0")


def test_unknown_option_like_no_other_is_refused_without_a_guess() -> None:
    with pytest.raises(ConfigError, match=r"--zzz is not an option of vLLM 0\.11\.0$"):
        check_known(["--zzz"], {"--block-size"}, "0.11.0")


def test_known_options_pass() -> None:
    check_known(["--seed"], {"--seed", "--block-size"}, "0.11.0")


@pytest.mark.parametrize(
    ("args", "eager"),
    [
        ([], False),
        (["--enforce-eager"], True),
        (["--enforce-eager", "--no-enforce-eager"], False),
        (["--no-enforce-eager", "--enforce-eager"], True),
    ],
)
def test_the_last_word_on_eager_counts(args: list[str], eager: bool) -> None:
    assert is_eager(parse_options(args)) is eager


def test_prefix_cache_is_on_unless_it_is_switched_off() -> None:
    assert has_prefix_cache(parse_options([]))
    assert not has_prefix_cache(parse_options(["--no-enable-prefix-caching"]))
