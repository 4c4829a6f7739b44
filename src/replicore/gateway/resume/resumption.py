"""Prepares the continuation of a broken stream: asks the next replica for the token ids it takes.

Where the engine named the ids of prompt and output (vLLM, the simulator) they are what is sent
again. Where it does not (llama.cpp) the prompt is rendered by the engine's own template and
tokenized by the engine, and so is the text that the client has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import msgspec

from replicore.gateway.resume.continuation import (
    COMPLETIONS,
    Wanted,
    continuation_body,
    tokens_left,
)
from replicore.gateway.resume.seam import Seam
from replicore.gateway.resume.sent import Obstacle, SentStream
from replicore.gateway.table import ReplicaRow
from replicore.http.fetch import fetch

_T = TypeVar("_T")

_TIMEOUT_S = 30.0

# Tokens whose text may be held back: of a stop string that has begun, or of half a character.
_LONGEST_LAG = 128
# Tokens before the output that its first token may depend on when it is made text.
_CONTEXT_TOKENS = 8


class _Tokens(msgspec.Struct):
    tokens: list[int]


class _Text(msgspec.Struct):
    prompt: str | None = None
    content: str | None = None


@dataclass(frozen=True, slots=True)
class Continuation:
    """What to do next.

    Attributes:
        body: Of the request to ``/v1/completions``; None if the stream only has to be ended.
        seam: Makes the client's events.
        finish: With what reason to end it, where ``body`` is None.
    """

    body: bytes | None
    seam: Seam
    finish: str | None = None

    path = COMPLETIONS


class Resumption:
    """A broken stream that is to go on.

    Args:
        path: Of the client's request.
        body: Of the client's request.

    Raises:
        Obstacle: It cannot be continued.
    """

    def __init__(
        self, path: str, body: bytes, sent: SentStream, *, max_model_len: int | None
    ) -> None:
        sent.read()
        self.wanted = Wanted(path, body)
        self._sent = sent
        self._max_model_len = max_model_len
        if sent.reasoned and (not sent.text or sent.ids is None or self.wanted.stops):
            raise Obstacle("reasoning", "it has reasoning apart from its text")

    async def prepare(self, row: ReplicaRow) -> Continuation:
        """Return how the stream goes on at a replica.

        Raises:
            Obstacle: It cannot go on there.
            UpstreamError: The replica does not answer.
        """
        sent, wanted = self._sent, self.wanted
        if row.traits.forgets_penalties and wanted.penalizes:
            raise Obstacle("penalties", "the engine's penalties would start anew")
        prompt = await self._prompt_ids(row)
        ids, skip = await self._sent_ids(row, prompt)
        named = (sent.ids or []) if wanted.named_ids else []
        left = tokens_left(
            wanted,
            prompt=len(prompt),
            sent=len(ids),
            max_model_len=self._max_model_len,
            endless=row.traits.text_continuation,
        )
        seam = Seam(
            sent,
            wanted,
            skip=skip,
            skip_ids=named[len(ids) :],
            prompt_tokens=len(prompt),
            sent_tokens=len(ids),
        )
        if sent.finish_reason is not None:
            return Continuation(None, seam)
        if left is not None and left <= 0:
            return Continuation(None, seam, "length")
        traits = row.traits
        body = continuation_body(
            wanted,
            prompt,
            ids,
            left=left,
            name_ids=traits.token_ids,
            progress=traits.prompt_progress,
        )
        return Continuation(body, seam)

    async def _prompt_ids(self, row: ReplicaRow) -> list[int]:
        if self._sent.prompt_ids is not None:
            return self._sent.prompt_ids
        if not row.traits.text_continuation:
            raise Obstacle("engine", "the engine does not tell its tokens")
        prompt = self.wanted.body.get("prompt")
        if isinstance(prompt, list):
            return prompt
        if self.wanted.chat:
            rendered = await _ask(row, "/apply-template", self.wanted.body, _Text)
            prompt = rendered.prompt
        return await _tokenize(row, str(prompt), special=True)

    async def _sent_ids(self, row: ReplicaRow, prompt: list[int]) -> tuple[list[int], str]:
        """Return the tokens of the text that the client has, and what it has beyond them."""
        sent = self._sent
        if sent.ids is None:
            if sent.text and not row.traits.text_continuation:
                raise Obstacle("engine", "the engine does not tell its tokens")
            return (await _tokenize(row, sent.text, special=False) if sent.text else []), ""
        if sent.finish_reason is not None or not (self.wanted.stops or sent.lagging):
            return sent.ids, ""
        if sent.reasoned:
            raise Obstacle("reasoning", "it has reasoning apart from its text")
        ids, skip = await self._settled(row, prompt, sent.ids)
        if not self.wanted.named_ids:
            # What is cut comes again, and is noted again.
            sent.ids = list(ids)
        return ids, skip

    async def _settled(
        self, row: ReplicaRow, prompt: list[int], ids: list[int]
    ) -> tuple[list[int], str]:
        """Return the longest beginning of ``ids`` whose text the client has all of.

        What it has beyond is the beginning of a token whose other part is held back.
        """
        context = prompt[-_CONTEXT_TOKENS:]
        before = await _detokenize(row, context)
        for kept in range(len(ids), max(-1, len(ids) - _LONGEST_LAG), -1):
            text = (await _detokenize(row, [*context, *ids[:kept]])).removeprefix(before)
            if self._sent.text.startswith(text):
                return ids[:kept], self._sent.text[len(text) :]
        raise Obstacle("diverged", "its text is not that of its tokens")


async def _tokenize(row: ReplicaRow, text: str, *, special: bool) -> list[int]:
    body = {"content": text, "add_special": special, "parse_special": special}
    return (await _ask(row, "/tokenize", body, _Tokens)).tokens


async def _detokenize(row: ReplicaRow, ids: list[int]) -> str:
    if not ids:
        return ""
    answer = await _ask(row, "/detokenize", {"tokens": ids}, _Text)
    return answer.prompt if answer.prompt is not None else answer.content or ""


async def _ask(row: ReplicaRow, path: str, body: object, answer: type[_T]) -> _T:
    payload = msgspec.json.encode(body)
    reply = await fetch(row.endpoint, "POST", path, body=payload, timeout=_TIMEOUT_S)
    try:
        if reply.status == 200:
            return msgspec.json.decode(reply.body, type=answer)
    except ValueError:  # no JSON, not that shape, or no UTF-8
        pass
    raise Obstacle("engine", f"the engine answered {path} with status {reply.status}")
