"""The three origins of requests: lengths that are drawn, a trace, recorded texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from replicore.bench.load.bodies import Envelope
from replicore.bench.load.data.conversations import Conversation
from replicore.bench.load.data.files import read_unchanged
from replicore.bench.load.data.traces import TraceRow, block_tokens
from replicore.bench.load.lengths import Lengths
from replicore.bench.load.plan import Source
from replicore.bench.load.prompts.sizing import Prompts
from replicore.bench.load.prompts.tokenizers import Tokenizer, count_texts
from replicore.bench.load.sessions.recorded import Recorded, TextSizes, row_of
from replicore.bench.load.sessions.replay import Replay
from replicore.bench.load.sessions.synthetic import Synthetic
from replicore.bench.load.workload import Api, Workload
from replicore.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What is known of a run's requests before prompts can be made.

    Attributes:
        made_up: The workload that the warm-up is drawn from: lengths like those of the requests,
            and no prompt of theirs.
        may_use_ids: Whether prompts may be token ids.
        exact: Whether prompts can be of exactly the asked length at all.
        source: Makes the measured sessions.
    """

    made_up: Workload
    may_use_ids: bool
    exact: bool
    source: Callable[[Prompts, Envelope], Source]

    @property
    def longest(self) -> int:
        """Tokens that hardly any prompt exceeds."""
        return self.made_up.input_tokens.likely_longest + self.made_up.prefixes.tokens


async def find_origin(workload: Workload, tokenizer: Tokenizer, requests: int | None) -> Origin:
    """Return where the requests of ``workload`` come from.

    Args:
        requests: How many of them are wanted; None where that is open.

    Raises:
        ConfigError: Its file cannot be used, or not with what else it asks for.
    """
    if workload.data is None:
        return _drawn(workload)
    if workload.prefixes.count:
        raise ConfigError("shared prefixes are for drawn prompts, and these come from a file")
    contents = read_unchanged(workload.data)
    if contents.trace:
        return _traced(workload, contents.trace)
    return await _recorded(workload, contents.conversations, tokenizer, requests)


def _drawn(workload: Workload) -> Origin:
    def source(prompts: Prompts, envelope: Envelope) -> Source:
        return Synthetic(workload=workload, prompts=prompts, envelope=envelope)

    single = workload.turns.single
    ids = single and workload.api is Api.COMPLETIONS
    return Origin(made_up=workload, may_use_ids=ids, exact=single, source=source)


def _traced(workload: Workload, rows: Sequence[TraceRow]) -> Origin:
    if not workload.turns.single:
        raise ConfigError("a trace has one request a row, so its sessions have one turn")

    def source(prompts: Prompts, envelope: Envelope) -> Source:
        return Replay(
            rows=rows,
            block=block_tokens(rows),
            seed=workload.seed,
            prompts=prompts,
            envelope=envelope,
        )

    made_up = replace(
        workload,
        data=None,
        input_tokens=Lengths.of(row.input_tokens for row in rows),
        output_tokens=Lengths.of(row.output_tokens for row in rows),
    )
    ids = workload.api is Api.COMPLETIONS
    return Origin(made_up=made_up, may_use_ids=ids, exact=True, source=source)


async def _recorded(
    workload: Workload,
    conversations: Sequence[Conversation],
    tokenizer: Tokenizer,
    requests: int | None,
) -> Origin:
    _check_route(workload, conversations)
    rows = len(conversations)
    sessions = rows if requests is None else min(rows, requests)
    wanted = [conversations[row_of(workload.seed, n, rows)] for n in range(sessions)]
    texts = _texts(wanted, workload.turns.count.likely_longest)
    sizes = TextSizes.of(await count_texts(tokenizer, texts))

    def source(prompts: Prompts, envelope: Envelope) -> Source:
        return Recorded(
            workload=workload,
            conversations=conversations,
            sizes=sizes,
            overhead=prompts.added_by_server,
            envelope=envelope,
        )

    lengths = Lengths.of(sizes.tokens(one.turns[0].text) for one in wanted)
    made_up = replace(workload, data=None, input_tokens=lengths)
    return Origin(made_up=made_up, may_use_ids=False, exact=False, source=source)


def _check_route(workload: Workload, conversations: Sequence[Conversation]) -> None:
    opened = next((one for one in conversations if one.opening), None)
    if opened is not None and workload.api is Api.COMPLETIONS:
        raise ConfigError(
            f"{opened.place} has messages, and the completions route takes a text",
            hint="measure the chat route: --api chat",
        )


def _texts(conversations: Sequence[Conversation], turns: int) -> Sequence[str]:
    """Return the texts whose tokens are wanted: what is asked, and what was answered."""
    asked = chain.from_iterable(one.turns[:turns] for one in conversations)
    texts = chain.from_iterable((turn.text, turn.answer or "") for turn in asked)
    return [text for text in texts if text]
