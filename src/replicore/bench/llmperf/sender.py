"""Requests of the old modes on the wire, each to the server whose turn it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from replicore.bench.client.call import Call
from replicore.bench.client.targets import Target
from replicore.bench.llmperf.bodies import JSON_HEADERS, chat_body
from replicore.bench.llmperf.options import RunOptions
from replicore.bench.llmperf.prompts import Prompt
from replicore.bench.llmperf.servers import Servers
from replicore.bench.load.jobs import Job
from replicore.bench.record import FailureKind, RequestRecord
from replicore.http.client import encode_request


class HttpSender:
    """A :class:`~replicore.bench.llmperf.launch.Sender` with connections; its clock starts here.

    Args:
        targets: One for each server, its connections open.

    Attributes:
        simulated: Whether an answer came from a simulator.
    """

    def __init__(self, targets: Sequence[Target], servers: Servers, options: RunOptions) -> None:
        self._targets = targets
        self._path = servers.path
        self._headers = (*JSON_HEADERS, *servers.headers)
        self._options = options
        self._calls: set[Call] = set()
        self._ended = False
        self._zero = time.perf_counter()
        self.simulated = False

    def now(self) -> float:
        return time.perf_counter() - self._zero

    def ended(self) -> bool:
        return self._ended

    async def end_when(self, stop: asyncio.Event) -> None:
        """End the run once ``stop`` is set: what is in flight is given up."""
        await stop.wait()
        self._ended = True
        for call in tuple(self._calls):
            call.give_up(FailureKind.INTERRUPTED, "the run was ended early")

    def send(self, index: int, prompt: Prompt, turn: int) -> asyncio.Future[RequestRecord]:
        target = self._targets[turn % len(self._targets)]
        body = self._body(prompt)
        job = Job(
            index=index,
            body=body,
            input_tokens=prompt.input_tokens,
            output_tokens=prompt.output_tokens,
        )
        over: asyncio.Future[RequestRecord] = asyncio.get_running_loop().create_future()

        def end(call: Call) -> None:
            self._calls.discard(call)
            self.simulated |= call.simulated
            over.set_result(call.record(self._zero, keep_text=True))

        call = Call(job, target, intended=time.perf_counter(), on_over=end)
        self._calls.add(call)
        call.start(self._request(target, body), timeout=self._options.request_timeout_s)
        return over

    def _body(self, prompt: Prompt) -> bytes:
        sampling = {"max_tokens": prompt.output_tokens} | self._options.sampling
        return chat_body(self._options.model, prompt.text, sampling)

    def _request(self, target: Target, body: bytes) -> bytes:
        return encode_request(
            "POST",
            self._path,
            host=target.pool.authority,
            headers=self._headers,
            body=body,
        )
