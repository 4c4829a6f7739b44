from __future__ import annotations

import dataclasses

import pytest

from replicore.engines.vllm.degrees import tensor_parallel_degrees
from tests.unit.engines.vllm.plans import SHAPE


@pytest.mark.parametrize(
    ("heads", "kv_heads", "most", "degrees"),
    [
        (32, 8, 8, [1, 2, 4, 8]),
        (32, 8, 64, [1, 2, 4, 8, 16, 32]),
        (32, 8, 7, [1, 2, 4]),
        (9, 3, 9, [1, 3, 9]),
        (14, 2, 14, [1, 2, 14]),  # 7 ranks cannot share 2 heads of keys evenly
        (12, 4, 12, [1, 2, 4, 12]),  # 3 and 6 neither divide 4 nor are its multiples
        (40, 40, 8, [1, 2, 4, 5, 8]),
        (32, 1, 4, [1, 2, 4]),
    ],
)
def test_degrees_deal_out_all_heads_evenly(
    heads: int, kv_heads: int, most: int, degrees: list[int]
) -> None:
    shape = dataclasses.replace(SHAPE, heads=heads, kv_heads=kv_heads)

    assert list(tensor_parallel_degrees(shape, most)) == degrees
