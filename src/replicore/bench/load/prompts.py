"""What must be known of a server before prompts can be made for it: its model, its tokeniser."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from replicore.bench.client.stream import Usage, error_text
from replicore.bench.load.workload import (
    Api,
    IdPrompts,
    PromptSource,
    TextPrompts,
    Workload,
    pool_text,
    random_words,
)
from replicore.errors import UpstreamError
from replicore.http.fetch import Reply, fetch
from replicore.openai import ModelList

_TIMEOUT = 60.0
_MIN_POOL_WORDS = 1024
_PROBE_WORDS = (8, 64)


class _Tokens(msgspec.Struct):
    tokens: list[int]


class _Answer(msgspec.Struct):
    usage: Usage


async def find_server(endpoints: Sequence[str]) -> tuple[str, str]:
    """Return the first endpoint that answers, and the first model that it serves.

    Raises:
        UpstreamError: None of them answers with a model.
    """
    errors = []
    for endpoint in endpoints:
        try:
            reply = await fetch(endpoint, "GET", "/v1/models", timeout=_TIMEOUT)
            return endpoint, _first_model(endpoint, reply)
        except UpstreamError as error:
            errors.append(error.message)
    raise UpstreamError(
        "; ".join(errors), hint="start a deployment with `replicore up`, or check the URL"
    )


def _first_model(endpoint: str, reply: Reply) -> str:
    try:
        return msgspec.json.decode(reply.body, type=ModelList).data[0].id
    except (msgspec.DecodeError, IndexError):
        reason = f"status {reply.status}: {error_text(reply.body)}"
        raise UpstreamError(f"{endpoint}/v1/models names no model: {reason}") from None


async def prompt_source(
    endpoint: str, model: str, workload: Workload, *, longest: int
) -> PromptSource:
    """Return prompts of exact length where the server tokenises, else of about that length.

    Args:
        longest: Tokens of the longest prompt; the tokenised text is at least as long, so that no
            prompt repeats itself.

    Raises:
        UpstreamError: The server does not answer, or refuses even a short prompt.
    """
    if workload.api is Api.COMPLETIONS:
        text = pool_text(workload.seed, max(_MIN_POOL_WORDS, longest))
        ids = await _tokenize(endpoint, model, text)
        if ids:
            return IdPrompts(ids)
    return await _measure_words(endpoint, model, workload)


async def _tokenize(endpoint: str, model: str, text: str) -> list[int]:
    """Return the ids of ``text``, without special tokens; empty where the server cannot.

    One body for both dialects: llama.cpp reads ``content`` and ``add_special``, vLLM the others.
    """
    body = {
        "content": text,
        "add_special": False,
        "model": model,
        "prompt": text,
        "add_special_tokens": False,
    }
    reply = await _post(endpoint, "/tokenize", body)
    if reply.status != 200:
        return []
    try:
        return msgspec.json.decode(reply.body, type=_Tokens).tokens
    except msgspec.DecodeError:
        return []


async def _measure_words(endpoint: str, model: str, workload: Workload) -> TextPrompts:
    """Return the line through the input tokens that the server counts for two prompts."""
    rng = np.random.default_rng(workload.seed)
    few, many = _PROBE_WORDS
    low = await _input_tokens(endpoint, model, workload.api, random_words(few, rng))
    high = await _input_tokens(endpoint, model, workload.api, random_words(many, rng))
    if high <= low:
        raise UpstreamError(
            f"{endpoint} counts {low} input tokens for {few} words and {high} for {many}, "
            "so prompts of a given length cannot be made"
        )
    tokens_per_word = (high - low) / (many - few)
    return TextPrompts(tokens_per_word, overhead=low - few * tokens_per_word)


async def _input_tokens(endpoint: str, model: str, api: Api, text: str) -> int:
    body = {"model": model, "max_tokens": 1, **prompt_fields(api, text)}
    reply = await _post(endpoint, route(api), body)
    try:
        return msgspec.json.decode(reply.body, type=_Answer).usage.prompt_tokens
    except msgspec.DecodeError:
        reason = f"status {reply.status}: {error_text(reply.body)}"
        raise UpstreamError(f"{endpoint} did not count a prompt's tokens: {reason}") from None


async def _post(endpoint: str, path: str, body: dict[str, object]) -> Reply:
    return await fetch(endpoint, "POST", path, body=msgspec.json.encode(body), timeout=_TIMEOUT)


def route(api: Api) -> str:
    return "/v1/chat/completions" if api is Api.CHAT else "/v1/completions"


def prompt_fields(api: Api, prompt: list[int] | str) -> dict[str, object]:
    """Return the part of a request body that carries the prompt."""
    if api is Api.CHAT:
        return {"messages": [{"role": "user", "content": prompt}]}
    return {"prompt": prompt}
