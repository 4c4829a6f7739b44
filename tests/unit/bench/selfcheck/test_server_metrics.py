from __future__ import annotations

import pytest

from replicore.bench.selfcheck.server_metrics import Told, read_page

VLLM = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 8.0
vllm:num_requests_waiting{engine="0",model_name="m"} 3.0
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25
vllm:generation_tokens_total{engine="0",model_name="m"} 1.5e+03
vllm:generation_tokens_created{engine="0",model_name="m"} 1.7e+09
"""
LLAMACPP = """\
llamacpp:requests_processing 4
llamacpp:requests_deferred 0
llamacpp:tokens_predicted_total 96
"""
GATEWAY = """\
vllm:num_requests_running{replica="r0",model_name="m"} 5
vllm:num_requests_running{replica="r1",model_name="m"} 7
"""


@pytest.mark.parametrize(
    ("page", "told"),
    [
        (VLLM, Told(running=8.0, waiting=3.0, kv_usage=0.25, output_tokens=1500.0)),
        (LLAMACPP, Told(running=4.0, waiting=0.0, output_tokens=96.0)),
        ("sglang:num_running_reqs{} 2\nsglang:token_usage 0.5\n", Told(running=2.0, kv_usage=0.5)),
    ],
)
def test_page_of_an_engine_is_read_under_its_own_names(page: str, told: Told) -> None:
    assert read_page(page) == {None: told}


def test_page_of_a_gateway_has_its_replicas_apart() -> None:
    assert read_page(GATEWAY) == {"r0": Told(running=5.0), "r1": Told(running=7.0)}


def test_several_schedulers_of_one_engine_are_added_up() -> None:
    page = 'vllm:num_requests_running{engine="0"} 5\nvllm:num_requests_running{engine="1"} 7\n'

    assert read_page(page) == {None: Told(running=12.0)}


def test_of_several_caches_the_fullest_counts() -> None:
    page = 'vllm:kv_cache_usage_perc{engine="0"} 0.5\nvllm:kv_cache_usage_perc{engine="1"} 0.25\n'

    assert read_page(page) == {None: Told(kv_usage=0.5)}


@pytest.mark.parametrize(
    "page",
    [
        "",
        "<html>not metrics</html>",
        "vllm:num_requests_running_created 3\n",
        "vllm:num_requests_running{} much\n",
        "vllm:num_requests_running{} 1-1\n",
    ],
)
def test_page_without_known_metrics_tells_nothing(page: str) -> None:
    assert read_page(page) == {}
