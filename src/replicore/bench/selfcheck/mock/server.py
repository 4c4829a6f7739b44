"""The mock's loop: one thread, one timer for all streams, one system call for each token.

It is no asyncio program: uvloop's timers count milliseconds, epoll's timeouts too, and a transport
would cost as much again as the write. So it waits with select(2), which takes microseconds, for the
one descriptor of an epoll that holds all connections.
"""

from __future__ import annotations

import re
import select
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import parse_qs

import msgspec

from replicore.bench.selfcheck.mock.account import Account
from replicore.bench.selfcheck.mock.answers import (
    Answers,
    BadBody,
    models,
    read_asked,
    refusal,
    response,
    tokenized,
)
from replicore.bench.selfcheck.mock.connection import Closed, Connection
from replicore.bench.selfcheck.mock.schedule import Schedule
from replicore.http.stamped import Arrival

# Tokens that are sent in a row before new requests are looked at, and requests that are read in a
# row before tokens are: the kernel keeps when a request came, but a token that waits is late.
_MOST_SENDS = 256
_MOST_READS = 16

_LINE = re.compile(rb"([A-Z]+) ([^ ?]+)(?:\?([^ ]*))? HTTP/1\.[01]\r\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """When tokens go out.

    Attributes:
        ttft_s: From a request's arrival to its first token.
        itl_s: Between tokens.
        tokens: Of an answer whose request does not say how many.
    """

    ttft_s: float = 0.05
    itl_s: float = 0.01
    tokens: int = 100


class MockServer:
    """Serves on one listening socket.

    Args:
        until: A file descriptor that ends :meth:`run` when it is readable.
    """

    def __init__(self, listener: socket.socket, plan: Plan, *, until: int | None = None) -> None:
        self._listener = listener
        self._plan = plan
        self._until = until
        self._schedule: Schedule[Connection] = Schedule(ttft_s=plan.ttft_s, itl_s=plan.itl_s)
        self._account = Account()
        self._cpu_since = time.process_time()
        self._arrival = Arrival()
        self._answers = {
            b"/v1/completions": Answers(chat=False),
            b"/v1/chat/completions": Answers(chat=True),
        }
        self._connections: dict[int, Connection] = {}
        # Its own descriptor is a small number, which is all that select(2) takes.
        self._epoll = select.epoll()
        self._epoll.register(listener.fileno(), select.EPOLLIN)
        if until is not None:
            self._epoll.register(until, select.EPOLLIN)

    def run(self) -> None:
        """Serve until ``until`` is readable."""
        while self._serve_once():
            pass

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()
        self._epoll.close()

    def _serve_once(self) -> bool:
        self._wait()
        for fd, _ in self._epoll.poll(0, _MOST_READS):
            if fd == self._until:
                return False
            if fd == self._listener.fileno():
                self._accept()
            else:
                self._read(self._connections[fd])
        self._send_due()
        return True

    def _wait(self) -> None:
        due = self._schedule.next_due()
        left = None if due is None else due - time.perf_counter()
        if left is None or left > 0:
            select.select([self._epoll.fileno()], [], [], left)

    def _accept(self) -> None:
        with suppress(BlockingIOError, ConnectionAbortedError):
            while True:
                sock, _ = self._listener.accept()
                connection = Connection(sock)
                self._connections[connection.fileno()] = connection
                self._epoll.register(connection.fileno(), select.EPOLLIN)

    def _read(self, connection: Connection) -> None:
        try:
            if connection.read(self._arrival):
                self._serve_next(connection, self._arrival.time)
        except Closed:
            self._drop(connection)

    def _serve_next(self, connection: Connection, arrived: float) -> None:
        """Answer what has come, up to the first request with a stream."""
        while not connection.left and (request := connection.request()):
            self._serve(connection, *request, arrived)

    def _serve(self, connection: Connection, head: bytes, body: bytes, arrived: float) -> None:
        line = _LINE.match(head)
        if line is None:
            raise Closed
        method, path, query = line.groups(default=b"")
        try:
            if method == b"POST" and path in self._answers:
                self._complete(connection, self._answers[path], body, arrived)
                return
            answer = self._plain(method, path, query, body)
        except BadBody as error:
            answer = refusal(str(error))
        self._answer(connection, answer)

    def _plain(self, method: bytes, path: bytes, query: bytes, body: bytes) -> bytes:
        """Return the answer of a route that makes no tokens."""
        match method, path:
            case b"GET", b"/v1/models":
                return response(models())
            case b"GET", b"/health":
                return response(b"{}")
            case b"POST", b"/tokenize":
                return response(tokenized(body))
            case b"GET", b"/mock/report":
                return response(self._report(query))
            case b"DELETE", b"/mock/report":
                self._account = Account(in_flight=self._account.in_flight)
                self._cpu_since = time.process_time()
                return response(b"{}")
        what = f"{method.decode()} {path.decode('latin-1')}"
        return refusal(f"there is no {what}", status="404 Not Found")

    def _report(self, query: bytes) -> bytes:
        asked = parse_qs(query.decode("latin-1")).get("in_flight", [""])[0]
        report = self._account.report(
            cpu_s=time.process_time() - self._cpu_since,
            in_flight=int(asked) if asked.isdigit() else None,
        )
        return msgspec.json.encode(report)

    def _complete(
        self, connection: Connection, answers: Answers, body: bytes, arrived: float
    ) -> None:
        asked = read_asked(body)
        tokens = asked.output_tokens or self._plan.tokens
        if not asked.stream:
            self._account.others += 1
            self._answer(connection, answers.whole(asked, tokens))
            return
        connection.left = connection.tokens = tokens
        connection.first, connection.token = answers.first, answers.token
        connection.last = answers.last(asked, tokens) if tokens > 1 else answers.only(asked)
        self._account.begin(time.perf_counter(), hash(body))
        self._schedule.add(connection, arrived)

    def _answer(self, connection: Connection, data: bytes) -> None:
        connection.send(data)
        if connection.close_after:
            raise Closed

    def _send_due(self) -> None:
        for _ in range(_MOST_SENDS):
            now = time.perf_counter()
            connection = self._schedule.take(now)
            if connection is None:
                return
            # One whose client left has nothing to come, and this takes it out of the plan.
            if connection.left:
                try:
                    self._send_token(connection, now)
                except Closed:
                    self._drop(connection)

    def _send_token(self, connection: Connection, now: float) -> None:
        account, left = self._account, connection.left
        account.late.add(now - connection.due)
        if left == connection.tokens:
            account.ttft.add(now - connection.due + self._plan.ttft_s)
            data = connection.first if left > 1 else connection.last
        else:
            account.gap.add(now - connection.sent)
            data = connection.token if left > 1 else connection.last
        connection.send(data)
        connection.sent = now
        connection.left = left - 1
        if left > 1:
            self._schedule.again(connection)
        else:
            self._end(connection)

    def _end(self, connection: Connection) -> None:
        now = time.perf_counter()
        self._account.end(now, whole=True)
        if connection.close_after:
            raise Closed
        self._serve_next(connection, now)

    def _drop(self, connection: Connection) -> None:
        if connection.left:
            connection.left = 0
            self._account.end(time.perf_counter(), whole=False)
        del self._connections[connection.fileno()]
        self._epoll.unregister(connection.fileno())
        connection.close()
