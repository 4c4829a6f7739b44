from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from replicore.cores import CoreRange
from replicore.engines.engine import ReplicaPlan
from replicore.engines.readiness import (
    check_health,
    check_max_model_len,
    check_planned,
    check_served_name,
    check_token,
)
from replicore.errors import ReplicaStartError, UpstreamError
from replicore.models.shape import Model, ModelShape
from tests.unit.engines.answers import ask

SHAPE = ModelShape(
    architecture="llama",
    layers=1,
    hidden=8,
    heads=1,
    kv_heads=1,
    head_dim=8,
    vocab=16,
    max_model_len=64,
    weight_bytes=1,
)

Check = Callable[[ReplicaPlan], Coroutine[Any, Any, object]]


def plan(port: int) -> ReplicaPlan:
    return ReplicaPlan(
        index=0,
        cores=CoreRange.parse("0"),
        batch_size=1,
        max_model_len=64,
        model=Model(source="m", served_name="planned", path=Path("/m"), shape=SHAPE),
        host="127.0.0.1",
        port=port,
    )


def run_check(check: Check, path: str, status: int, body: bytes) -> None:
    """Run ``check`` against an engine that knows one answer."""
    ask({path: (status, body)}, lambda port: check(plan(port)))


def test_health_of_200_passes() -> None:
    run_check(check_health, "/health", 200, b"")


def test_health_of_503_is_not_yet() -> None:
    with pytest.raises(UpstreamError, match="r0 answers /health with status 503"):
        run_check(check_health, "/health", 503, b"loading")


def test_planned_name_among_the_served_ones_passes() -> None:
    run_check(check_served_name, "/v1/models", 200, b'{"data": [{"id": "x"}, {"id": "planned"}]}')


def test_another_served_name_will_never_be_ready() -> None:
    with pytest.raises(ReplicaStartError, match=r'model.served_name: .*found "other"'):
        run_check(check_served_name, "/v1/models", 200, b'{"data": [{"id": "other"}]}')


def test_planned_length_passes() -> None:
    cards = b'{"data": [{"id": "x"}, {"id": "planned", "max_model_len": 64}]}'
    run_check(check_max_model_len, "/v1/models", 200, cards)


@pytest.mark.parametrize(("card", "found"), [('"max_model_len": 128', "128"), ('"n": 1', "None")])
def test_another_length_will_never_be_ready(card: str, found: str) -> None:
    cards = f'{{"data": [{{"id": "planned", {card}}}]}}'
    with pytest.raises(ReplicaStartError, match=rf"layout.max_model_len: .*64; found {found}"):
        run_check(check_max_model_len, "/v1/models", 200, cards.encode())


def test_one_token_passes() -> None:
    run_check(check_token, "/v1/completions", 200, b'{"usage": {"completion_tokens": 1}}')


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (200, b'{"usage": {"completion_tokens": 0}}', "was asked for one token"),
        (200, b'{"choices": []}', "answers /v1/completions with wrong JSON"),
        (200, b"<html>", "answers /v1/completions with wrong JSON"),
        (503, b"{}", "answers /v1/completions with status 503"),
    ],
)
def test_no_token_is_not_yet(status: int, body: bytes, message: str) -> None:
    with pytest.raises(UpstreamError, match=message):
        run_check(check_token, "/v1/completions", status, body)


def test_difference_from_the_plan_names_planned_and_found() -> None:
    with pytest.raises(
        ReplicaStartError, match=r"layout.batch_size: r0 was planned with 4; found 2"
    ):
        check_planned(plan(1), "layout.batch_size", 4, 2)
