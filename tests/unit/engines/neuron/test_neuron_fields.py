from __future__ import annotations

from typing import Any

from replicore.engines.neuron.fields import compiled_fields, compiled_model_fields
from replicore.spec import NeuronSpec
from tests.unit.engines.neuron.deployments import TUTORIAL, plan


def compiled(**changes: Any) -> dict[str, Any]:
    """The tutorial's neuron_config.json, as far as it matters, mended."""
    neuron_config = {
        "tp_degree": 32,
        "batch_size": 4,
        "ctx_batch_size": 1,
        "is_continuous_batching": True,
        "seq_len": 8192,
        "max_context_length": 8192,
        "logical_nc_config": 2,
        "torch_dtype": "bfloat16",
        "fused_qkv": True,
        "sequence_parallel_enabled": False,
        "qkv_kernel_enabled": True,
        "attn_kernel_enabled": True,
        "mlp_kernel_enabled": True,
        "enable_bucketing": False,
        "context_encoding_buckets": None,
        "token_generation_buckets": None,
        "save_sharded_checkpoint": True,
        "on_device_sampling_config": {
            "do_sample": True,
            "dynamic": False,
            "global_topk": 64,
            "top_k": 1,
        },
    }
    return {"hidden_size": 8192, "neuron_config": neuron_config | changes}


def test_compiled_folder_says_the_same_as_the_spec_that_it_was_compiled_by() -> None:
    told = compiled_fields(compiled())
    planned = compiled_model_fields(plan(), NeuronSpec.model_validate(TUTORIAL))

    assert told["layout.tp"] == 32
    assert told["layout.batch_size"] == 4
    assert told["layout.max_model_len"] == 8192
    assert told["engine.neuron.lnc"] == 2
    assert {name: told.get(name) for name in planned} == planned | {
        "engine.neuron.compile_args": None  # not told: they are other keys, or nobody's
    }


def test_compiled_folder_of_an_older_version_tells_its_lnc_too() -> None:
    told = compiled_fields({"neuron_config": {"logical_neuron_cores": 2, "tp_degree": 8}})

    assert told["engine.neuron.lnc"] == 2


def test_compiled_folder_tells_its_buckets_in_order() -> None:
    told = compiled_fields(compiled(context_encoding_buckets=[8192, 2048]))

    assert told["engine.neuron.context_buckets"] == [2048, 8192]
    assert told["engine.neuron.token_buckets"] == []


def test_folder_compiled_without_sampling_on_the_device_differs_from_one_with() -> None:
    told = compiled_fields(compiled(on_device_sampling_config=None))

    assert told["engine.neuron.on_device_sampling.do_sample"] is None
    assert told["engine.neuron.on_device_sampling.global_topk"] is None


def test_tutorials_own_folder_lacks_continuous_batching() -> None:
    told = compiled_fields(compiled(is_continuous_batching=False, ctx_batch_size=4))

    assert told["continuous batching"] is False
