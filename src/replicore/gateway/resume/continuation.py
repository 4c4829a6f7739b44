"""The request that continues a broken stream from what was sent. Pure.

Whatever the client asked for, the continuation is a stream of ``/v1/completions`` whose prompt is
token ids: those of the client's prompt followed by those of the text that it already has. A chat
template is not applied twice then, and nothing is tokenized anew where the engine named its ids.
"""

from __future__ import annotations

from typing import Any

import msgspec

from replicore.gateway.resume.sent import Obstacle

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"

# OpenAI's default for /v1/completions, which vLLM has too; llama.cpp's go on to the end.
_DEFAULT_COMPLETION_TOKENS = 16

# What shapes the choice of tokens, and means the same in both routes.
_SAMPLING = frozenset(
    {
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "typical_p",
        "top_n_sigma",
        "seed",
        "stop",
        "stop_token_ids",
        "ignore_eos",
        "include_stop_str_in_output",
        "logit_bias",
        "bad_words",
        "allowed_token_ids",
        "presence_penalty",
        "frequency_penalty",
        "repetition_penalty",
        "repeat_penalty",
        "repeat_last_n",
        "dry_multiplier",
        "dry_base",
        "dry_allowed_length",
        "dry_penalty_last_n",
        "dry_sequence_breakers",
        "xtc_probability",
        "xtc_threshold",
        "mirostat",
        "mirostat_tau",
        "mirostat_eta",
        "dynatemp_range",
        "dynatemp_exponent",
        "samplers",
        "cache_prompt",
        "skip_special_tokens",
        "spaces_between_special_tokens",
        "priority",
        "user",
    }
)

# What is read here, and what has done its work once the prompt's tokens are known.
_SPENT = frozenset(
    {
        "model",
        "stream",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "n_predict",
        "min_tokens",
        "messages",
        "prompt",
        "chat_template",
        "chat_template_kwargs",
        "add_generation_prompt",
        "continue_final_message",
        "add_special_tokens",
        "documents",
        "reasoning_effort",
        "reasoning_format",
        "return_token_ids",
        "return_progress",
        "request_id",
        "store",
        "metadata",
        "service_tier",
        "prompt_cache_key",
        "safety_identifier",
        "timings_per_token",
    }
)

# What would make another stream of it, and the value with which it would not.
_HARMLESS: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "best_of": (1,),
    "use_beam_search": (False,),
    "echo": (False,),
    "suffix": ("",),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "prompt_logprobs": (),
    "tools": ([],),
    "functions": ([],),
    "tool_choice": ("none",),
    "parallel_tool_calls": (True, False),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
}
_REASONS = {
    "n": "choices",
    "best_of": "choices",
    "use_beam_search": "choices",
    "logprobs": "logprobs",
    "top_logprobs": "logprobs",
    "prompt_logprobs": "logprobs",
    "tools": "tools",
    "functions": "tools",
    "tool_choice": "tools",
    "response_format": "grammar",
    "grammar": "grammar",
    "json_schema": "grammar",
    "structured_outputs": "grammar",
    "guided_json": "grammar",
    "guided_regex": "grammar",
    "guided_choice": "grammar",
    "guided_grammar": "grammar",
}
_PENALTIES = ("presence_penalty", "frequency_penalty")


class Wanted:
    """What a client asked for, read when its stream has broken.

    Attributes:
        body: Its JSON.
        chat: Whether it was a chat.
        max_tokens: None where it set none.
        stops: Whether it named stop strings.
        include_usage: Whether it wants a usage event.
        named_ids: Whether it asked for token ids itself, and shall go on getting them.

    Raises:
        Obstacle: A continuation would not be what it asked for.
    """

    __slots__ = ("body", "chat", "include_usage", "max_tokens", "named_ids", "stops")

    def __init__(self, path: str, body: bytes) -> None:
        if path not in (CHAT, COMPLETIONS):
            raise Obstacle("route", f"{path} cannot be continued")
        self.body = _read_body(body)
        for name, value in self.body.items():
            _check_parameter(name, value)
        self.chat = path == CHAT
        options = self.body.get("stream_options") or {}
        if not isinstance(options, dict) or set(options) - {"include_usage"}:
            raise Obstacle("parameter", "stream_options has more than include_usage")
        self.include_usage: bool = options.get("include_usage") is True
        self.max_tokens = self._first("max_completion_tokens", "max_tokens", "n_predict")
        self.stops = bool(self.body.get("stop"))
        self.named_ids = self.body.get("return_token_ids") is True
        if self.chat:
            _check_messages(self.body.get("messages"))
        else:
            _check_prompt(self.body.get("prompt"))

    @property
    def penalizes(self) -> bool:
        """Whether tokens of the output count against themselves."""
        return any(self.body.get(name) for name in _PENALTIES)

    def _first(self, *names: str) -> int | None:
        values = (self.body.get(name) for name in names)
        return next((value for value in values if isinstance(value, int) and value > 0), None)


def _read_body(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (ValueError, RecursionError) as error:
        # What routing read of it was in order; the rest is only read now.
        raise Obstacle("unreadable", "the request's body cannot be read whole") from error


def _check_parameter(name: str, value: Any) -> None:
    if value is None or name in _SAMPLING or name in _SPENT:
        return
    if name not in _HARMLESS or value not in _HARMLESS[name]:
        reason = _REASONS.get(name, "parameter")
        raise Obstacle(reason, f'the request has "{name}"')


def _check_messages(messages: Any) -> None:
    if not isinstance(messages, list):
        raise Obstacle("unreadable", "its messages are not a list")
    for message in messages:
        content = message.get("content") if isinstance(message, dict) else None
        parts = content if isinstance(content, list) else []
        if any(not isinstance(part, dict) or part.get("type") != "text" for part in parts):
            raise Obstacle("multimodal", "a message has more than text")


def _check_prompt(prompt: Any) -> None:
    is_ids = isinstance(prompt, list) and all(isinstance(item, int) for item in prompt)
    if not isinstance(prompt, str) and not is_ids:
        raise Obstacle("choices", "it has several prompts")


def tokens_left(
    wanted: Wanted, *, prompt: int, sent: int, max_model_len: int | None, endless: bool = False
) -> int | None:
    """Return how many tokens may still come; None for the engine's own limit.

    Args:
        prompt: Tokens of the prompt.
        sent: Tokens of the output so far.
        max_model_len: What a sequence may have in all; None where it is not known.
        endless: Whether the engine's completions without a limit go on as far as they can.
    """
    most = wanted.max_tokens
    if most is None and not wanted.chat and not endless:
        most = _DEFAULT_COMPLETION_TOKENS
    room = None if max_model_len is None else max_model_len - prompt - sent
    left = None if most is None else most - sent
    return min((n for n in (room, left) if n is not None), default=None)


def continuation_body(
    wanted: Wanted,
    prompt_ids: list[int],
    sent_ids: list[int],
    *,
    left: int | None,
    name_ids: bool = False,
    progress: bool = False,
) -> bytes:
    """Return the body of the request that goes on after ``sent_ids``.

    Args:
        name_ids: Ask for token ids.
        progress: Ask for events during prefill: the engine then notices a client that leaves.
    """
    body = {name: value for name, value in wanted.body.items() if name in _SAMPLING}
    if "model" in wanted.body:
        body["model"] = wanted.body["model"]
    body["prompt"] = [*prompt_ids, *sent_ids]
    if left is not None:
        body["max_tokens"] = left
    least = wanted.body.get("min_tokens")
    if isinstance(least, int) and least > len(sent_ids):
        body["min_tokens"] = least - len(sent_ids)
    body["stream"] = True
    if wanted.include_usage:
        body["stream_options"] = {"include_usage": True}
    if name_ids:
        body["return_token_ids"] = True
    if progress:
        body["return_progress"] = True
    return msgspec.json.encode(body)
