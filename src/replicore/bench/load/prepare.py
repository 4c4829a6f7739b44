"""From a workload and a load to sessions, ready to be sent to one kind of server."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from replicore.bench.load.arrivals import Load
from replicore.bench.load.bodies import route, streamed
from replicore.bench.load.jobs import Session
from replicore.bench.load.plan import planned_sessions, warmup_sessions
from replicore.bench.load.prompts.finder import PromptFinder
from replicore.bench.load.prompts.tokenizers import ServerTokenizer, Tokenizer, open_tokenizer
from replicore.bench.load.server import Headers, Server
from replicore.bench.load.sessions.origins import find_origin
from replicore.bench.load.sessions.synthetic import Synthetic
from replicore.bench.load.workload import Workload
from replicore.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What is sent in one run.

    Attributes:
        sessions: The warm-up's first, then the measured ones, each numbered from 0. A list, but an
            iterator without end for a closed loop that only time ends.
        path: Route that all are posted to.
        exact: Whether every prompt is of exactly the number of tokens that was asked for.
        counted_by: Who told what a token is.
        common_tokens: Of every prompt, the same in all: a chat template's, and the word that texts
            begin with. A prefix cache may hold them.
    """

    sessions: Iterable[Session]
    path: str
    exact: bool
    counted_by: str
    common_tokens: int


async def prepare(
    endpoint: str,
    model: str,
    workload: Workload,
    load: Load,
    *,
    requests: int | None,
    duration_s: float | None = None,
    warmup: int = 0,
    headers: Headers = (),
) -> Prepared:
    """Return the sessions of a run, their bodies encoded.

    Args:
        endpoint: The server that is asked about tokens.
        requests: How many are measured; None for those of the time, or of a file.
        duration_s: Arrivals after it are left out; a closed loop is ended by its driver.
        warmup: Requests before the measured ones.
        headers: For the server, such as an API key's.

    Raises:
        ConfigError: Numbers or files that cannot be.
        ModelError: The tokenizer is a damaged GGUF file.
        UpstreamError: The server does not answer, or refuses even a short prompt.
    """
    _check(requests, duration_s, warmup)
    server = Server(endpoint, model, headers)
    tokenizer = _tokenizer(workload, server)
    origin = await find_origin(workload, tokenizer, requests)
    finder = PromptFinder(
        server, tokenizer, origin.made_up, ids=origin.may_use_ids, longest=origin.longest
    )
    prompts = await finder.find()
    envelope = streamed(model, workload)
    warm = Synthetic(workload=origin.made_up, prompts=prompts, envelope=envelope, warmup=True)
    sessions = planned_sessions(
        warmup_sessions(warm, warmup),
        origin.source(prompts, envelope),
        load.arrivals,
        requests=requests,
        duration_s=duration_s,
        seed=workload.seed,
    )
    return Prepared(
        sessions=sessions,
        path=route(workload.api),
        exact=prompts.exact and origin.exact,
        counted_by=prompts.counted_by,
        common_tokens=max(0, round(prompts.overhead)),
    )


def _tokenizer(workload: Workload, server: Server) -> Tokenizer:
    if workload.tokenizer is None:
        return ServerTokenizer(server)
    return open_tokenizer(workload.tokenizer)


def _check(requests: int | None, duration_s: float | None, warmup: int) -> None:
    if requests is not None and requests < 1:
        raise ConfigError(f"requests: {requests} is below 1")
    if duration_s is not None and not duration_s > 0:
        raise ConfigError(f"duration: {duration_s:g} s is not above 0")
    if warmup < 0:
        raise ConfigError(f"warmup: {warmup} is below 0")
