from __future__ import annotations

import pytest

from replicore.deploy.hung import work_done


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        (b"", None),
        (b"vllm:num_requests_running 3\n", None),
        (b"# TYPE llamacpp:n_decode_total counter\nllamacpp:n_decode_total 12\n", 12),
        (b"llamacpp:tokens_predicted_total 5\nllamacpp:prompt_tokens_total 1.5e3\n", 1505),
        (b'vllm:generation_tokens_total{model_name="m",engine="0"} 7.0\n', 7),
        (b'vllm:iteration_tokens_total_count{a="}"} 2\nvllm:prompt_tokens_total{} 3\n', 5),
        (b"other:prompt_tokens_total 9\n", None),
    ],
)
def test_work_is_the_sum_of_what_engines_count_of_it(
    metrics: bytes, expected: float | None
) -> None:
    assert work_done(metrics) == expected
