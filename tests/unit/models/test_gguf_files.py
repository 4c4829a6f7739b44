from __future__ import annotations

import pytest

from replicore.errors import ConfigError, ModelError
from replicore.models.gguf_files import gguf_models, model_stem, pick_model, shards

NAMES = (
    "Tiny-Q4_K.gguf",
    "Tiny-Q4_K_M.gguf",
    "Tiny-Q8_0.gguf",
    "mmproj-Tiny-F16.gguf",
    "README.md",
)
SHARDS = ("Big-00001-of-00002.gguf", "Big-00002-of-00002.gguf")


def test_gguf_models_leaves_out_companions_and_later_shards() -> None:
    assert gguf_models((*NAMES, *SHARDS)) == (SHARDS[0], *NAMES[:3])


@pytest.mark.parametrize(
    ("pick", "expected"),
    [
        ("Q4_K_M", "Tiny-Q4_K_M.gguf"),
        ("q4_k_m", "Tiny-Q4_K_M.gguf"),
        ("Q4_K", "Tiny-Q4_K.gguf"),
        ("Tiny-Q8_0.gguf", "Tiny-Q8_0.gguf"),
        ("mmproj-Tiny-F16.gguf", "mmproj-Tiny-F16.gguf"),
    ],
)
def test_pick_means_a_file_or_a_whole_part_of_its_name(pick: str, expected: str) -> None:
    assert pick_model(NAMES, pick, where="org/tiny") == expected


def test_pick_of_nothing_takes_the_only_model() -> None:
    assert pick_model(("README.md", *SHARDS), None, where="org/big") == SHARDS[0]


def test_several_models_without_a_pick_are_listed() -> None:
    with pytest.raises(ConfigError, match="has 3 GGUF models") as caught:
        pick_model(NAMES, None, where="org/tiny")

    assert all(name in caught.value.message for name in NAMES[:3])


def test_pick_that_fits_several_models_lists_only_those() -> None:
    with pytest.raises(ConfigError, match='has 3 GGUF models that fit "Tiny"'):
        pick_model((*NAMES, "Other-Q2_K.gguf"), "Tiny", where="org/tiny")


def test_pick_that_fits_no_model_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="no GGUF model that fits") as caught:
        pick_model(NAMES, "Q4_K_N", where="org/tiny")

    assert caught.value.hint == 'did you mean ":Q4_K_M"?'


def test_shards_are_all_files_from_the_first_to_the_last() -> None:
    assert shards(SHARDS[0]) == SHARDS
    assert shards("Tiny-Q8_0.gguf") == ("Tiny-Q8_0.gguf",)


def test_later_shard_is_refused_with_the_first() -> None:
    with pytest.raises(ModelError, match=SHARDS[0]):
        shards(SHARDS[1])


def test_model_stem_has_no_shard_number() -> None:
    assert model_stem(SHARDS[0]) == "Big"
    assert model_stem("Tiny-Q8_0.gguf") == "Tiny-Q8_0"
