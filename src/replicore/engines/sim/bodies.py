"""Request bodies: from JSON to checked values, or to an error in OpenAI's shape. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from replicore.engines.sim.tokenizer import VOCABULARY, tokenize
from replicore.openai import error_body

# OpenAI's default of /v1/completions.
_COMPLETION_TOKENS = 16

_Positive = Annotated[int, Meta(ge=1)]
_TokenId = Annotated[int, Meta(ge=0, lt=VOCABULARY)]
_Prompt = str | list[_TokenId | str | list[_TokenId]]


class RequestError(Exception):
    """A request that is answered with an error."""

    def __init__(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param

    def body(self) -> bytes:
        return error_body(self.message, code=self.code, param=self.param)


class _StreamOptions(Struct):
    include_usage: bool = False


class _Body(Struct, kw_only=True):
    model: str | None = None


class _GenerationBody(_Body, kw_only=True):
    max_tokens: _Positive | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    ignore_eos: bool = False
    return_token_ids: bool | None = None


class _CompletionBody(_GenerationBody, kw_only=True):
    prompt: _Prompt


class _Part(Struct):
    type: Literal["text"]
    text: str


class _Message(Struct):
    role: str
    content: str | list[_Part] | None = None


class _ChatBody(_GenerationBody, kw_only=True):
    messages: list[_Message]
    add_generation_prompt: bool = True
    continue_final_message: bool = False
    max_completion_tokens: _Positive | None = None


class _EmbeddingBody(_Body, kw_only=True):
    input: _Prompt
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Meta(ge=1, le=4096)] = 64


class _TextBody(_Body, kw_only=True):
    """vLLM calls the text ``prompt``, llama.cpp calls it ``content``."""

    prompt: str | None = None
    content: str | None = None
    messages: list[_Message] | None = None
    add_generation_prompt: bool = True
    continue_final_message: bool = False


class _TokensBody(_Body, kw_only=True):
    tokens: list[_TokenId]


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """What a client asked to be generated.

    Attributes:
        prompts: Token ids of each prompt; ``n`` choices follow each.
        max_tokens: Of each choice; what is left of the model's length where the client set none.
    """

    chat: bool
    prompts: tuple[list[int], ...]
    n: int
    max_tokens: int
    stop: tuple[str, ...]
    ignore_eos: bool
    stream: bool
    include_usage: bool
    return_token_ids: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """What a client asked to be embedded."""

    prompts: tuple[list[int], ...]
    dimensions: int
    base64: bool


class BodyReader:
    """Reads the bodies sent to one model.

    Every method raises :class:`RequestError` for a body that cannot be served.
    """

    def __init__(self, *, model: str, max_model_len: int) -> None:
        self._model = model
        self._max_model_len = max_model_len

    def completion(self, data: bytes) -> Generation:
        body = self._read(data, _CompletionBody)
        prompts = _prompts(body.prompt, param="prompt")
        return self._generation(body, prompts, body.max_tokens, _COMPLETION_TOKENS, chat=False)

    def chat(self, data: bytes) -> Generation:
        body = self._read(data, _ChatBody)
        prompts = (tokenize(_render(body)),)
        wanted = body.max_completion_tokens or body.max_tokens
        return self._generation(body, prompts, wanted, self._max_model_len, chat=True)

    def embedding(self, data: bytes) -> Embedding:
        body = self._read(data, _EmbeddingBody)
        prompts = _prompts(body.input, param="input")
        for prompt in prompts:
            self._check_length(len(prompt), 0)
        return Embedding(
            prompts=prompts,
            dimensions=body.dimensions,
            base64=body.encoding_format == "base64",
        )

    def text(self, data: bytes) -> str:
        """Return the text that ``/tokenize`` is asked for."""
        body = self._read(data, _TextBody)
        if body.messages is not None:
            return _render(body)
        text = body.prompt if body.prompt is not None else body.content
        if text is None:
            raise RequestError(400, "one of prompt, content and messages is required")
        return text

    def tokens(self, data: bytes) -> list[int]:
        """Return the token ids that ``/detokenize`` is asked for."""
        return self._read(data, _TokensBody).tokens

    def _read(self, data: bytes, kind: type[_BodyT]) -> _BodyT:
        try:
            body = msgspec.json.decode(data, type=kind)
        except msgspec.ValidationError as error:
            raise RequestError(400, str(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RequestError(400, f"the body is not valid JSON: {error}") from None
        if body.model is not None and body.model != self._model:
            raise unknown_model(body.model)
        return body

    def _generation(
        self,
        body: _GenerationBody,
        prompts: tuple[list[int], ...],
        wanted: int | None,
        default: int,
        *,
        chat: bool,
    ) -> Generation:
        longest = max(map(len, prompts))
        # A prompt that leaves room for no token at all is too long, whatever was wanted.
        self._check_length(longest, wanted or 1)
        stop = body.stop or ()
        return Generation(
            chat=chat,
            prompts=prompts,
            n=body.n or 1,
            max_tokens=wanted or min(default, self._max_model_len - longest),
            stop=tuple(filter(None, (stop,) if isinstance(stop, str) else stop)),
            ignore_eos=body.ignore_eos,
            stream=bool(body.stream),
            include_usage=body.stream_options is not None and body.stream_options.include_usage,
            return_token_ids=bool(body.return_token_ids),
        )

    def _check_length(self, prompt: int, output: int) -> None:
        if prompt + output > self._max_model_len:
            message = (
                f"this model's maximum context length is {self._max_model_len} tokens, but "
                f"{prompt + output} were requested ({prompt} in the prompt, {output} in the output)"
            )
            raise RequestError(400, message, code="context_length_exceeded", param="prompt")


_BodyT = TypeVar("_BodyT", bound=_Body)


def unknown_model(name: str) -> RequestError:
    message = f"the model `{name}` does not exist"
    return RequestError(404, message, code="model_not_found", param="model")


def _render(conversation: _ChatBody | _TextBody) -> str:
    """Return the prompt of a conversation.

    Each message is ``[role]``, a line break, its text, a line break. The generation prompt is the
    beginning of one more message, so the answer continues it, and so does a final message that is
    to be continued: it has no line break at its end.
    """
    messages = conversation.messages or []
    if not messages:
        raise RequestError(400, "at least one message is required", param="messages")
    text = "".join(f"[{message.role}]\n{_content(message)}\n" for message in messages)
    if conversation.continue_final_message and conversation.add_generation_prompt:
        raise RequestError(400, "continue_final_message needs add_generation_prompt to be false")
    if conversation.continue_final_message:
        return text.removesuffix("\n")
    return f"{text}[assistant]\n" if conversation.add_generation_prompt else text


def _content(message: _Message) -> str:
    if isinstance(message.content, list):
        return "".join(part.text for part in message.content)
    return message.content or ""


def _prompts(prompt: _Prompt, *, param: str) -> tuple[list[int], ...]:
    """Return the token ids of each prompt of a text, a token list, or a list of either."""
    if isinstance(prompt, str):
        prompt = [prompt]
    elif prompt and all(isinstance(item, int) for item in prompt):
        prompt = [[item for item in prompt if isinstance(item, int)]]
    prompts = tuple(map(_token_ids, prompt))
    if not prompts or not all(prompts):
        raise RequestError(400, f"{param} must not be empty", param=param)
    return prompts


def _token_ids(item: str | list[int] | int) -> list[int]:
    if isinstance(item, int):
        raise RequestError(400, "token ids and texts cannot be mixed in one prompt")
    return tokenize(item) if isinstance(item, str) else item
