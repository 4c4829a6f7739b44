"""Does an engine serve what was planned? The HTTP questions that engines have in common.

Each function asks once. "Not yet" is an :class:`UpstreamError`, and the supervisor asks again;
"never", because it serves something else than planned, is a :class:`ReplicaStartError`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

import msgspec

from replicore.engines.engine import ReplicaPlan
from replicore.errors import ReplicaStartError, UpstreamError
from replicore.openai import ModelCard, ModelList
from replicore.wording import quoted

if TYPE_CHECKING:
    from replicore.http.fetch import Reply

ANSWER_TIMEOUT_S = 5.0
# The first token of a large model on few cores takes this long, and a token given up is work lost
TOKEN_TIMEOUT_S = 60.0

T = TypeVar("T")


class _Usage(msgspec.Struct):
    completion_tokens: int


class _Completion(msgspec.Struct):
    usage: _Usage


async def ask(
    replica: ReplicaPlan,
    path: str,
    answer: type[T],
    *,
    body: bytes | None = None,
    timeout: float = ANSWER_TIMEOUT_S,
) -> T:
    """GET ``path``, or POST ``body`` to it, and return the JSON answer as ``answer``.

    Raises:
        UpstreamError: No answer, a status other than 200, or JSON of another form.
    """
    method = "GET" if body is None else "POST"
    reply = await _fetch(replica, method, path, body=body, timeout=timeout)
    if reply.status != 200:
        raise UpstreamError(f"{replica.name} answers {path} with status {reply.status}")
    try:
        return msgspec.json.decode(reply.body, type=answer)
    except msgspec.DecodeError as error:
        raise UpstreamError(f"{replica.name} answers {path} with wrong JSON: {error}") from error


async def check_health(replica: ReplicaPlan) -> None:
    """Return when ``/health`` is 200, whatever its body.

    Raises:
        UpstreamError: It is not.
    """
    reply = await _fetch(replica, "GET", "/health", timeout=ANSWER_TIMEOUT_S)
    if reply.status != 200:
        raise UpstreamError(f"{replica.name} answers /health with status {reply.status}")


async def check_served_name(replica: ReplicaPlan) -> ModelCard:
    """Return the model's card when ``/v1/models`` lists it under the planned name.

    Raises:
        ReplicaStartError: It lists others.
    """
    served = await ask(replica, "/v1/models", ModelList)
    name = replica.model.served_name
    for card in served.data:
        if card.id == name:
            return card
    raise _differs(replica, "model.served_name", name, ", ".join(card.id for card in served.data))


async def check_max_model_len(replica: ReplicaPlan) -> ModelCard:
    """Return the model's card when it has the planned name and length, as vLLM's cards do.

    Raises:
        ReplicaStartError: It has others.
    """
    card = await check_served_name(replica)
    check_planned(replica, "layout.max_model_len", replica.max_model_len, card.max_model_len)
    return card


async def check_token(replica: ReplicaPlan) -> None:
    """Return when the replica has generated a token: ``/health`` alone does not prove that it can.

    Raises:
        UpstreamError: It has not.
    """
    request = {"model": replica.model.served_name, "prompt": "Hello", "max_tokens": 1}
    body = msgspec.json.encode(request)
    answer = await ask(replica, "/v1/completions", _Completion, body=body, timeout=TOKEN_TIMEOUT_S)
    if answer.usage.completion_tokens < 1:
        raise UpstreamError(f"{replica.name} was asked for one token and generated none")


async def _fetch(
    replica: ReplicaPlan, method: str, path: str, *, body: bytes | None = None, timeout: float
) -> Reply:
    # Whoever only plans asks nobody: asyncio and the HTTP client take a tenth of a plan's time.
    module = import_module("replicore.http.fetch")
    reply: Reply = await module.fetch(replica.endpoint, method, path, body=body, timeout=timeout)
    return reply


def check_planned(replica: ReplicaPlan, key: str, planned: object, found: object) -> None:
    """Compare what the spec's ``key`` says with what the engine reports.

    Raises:
        ReplicaStartError: They differ.
    """
    if planned != found:
        raise _differs(replica, key, planned, found)


def _differs(replica: ReplicaPlan, key: str, planned: object, found: object) -> ReplicaStartError:
    return ReplicaStartError(
        f"{key}: {replica.name} was planned with {quoted(planned)}; found {quoted(found)}"
    )
