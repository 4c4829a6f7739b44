"""One request on a connection of its own, and its whole response."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from replicore.errors import UpstreamError
from replicore.http.client import Pool, encode_request

_MiB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole response. Header names are lower case; of repeated ones the last is kept."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


class _Collector:
    """A sink that gathers a whole response into a future."""

    def __init__(self, future: asyncio.Future[Reply], max_bytes: int) -> None:
        self._future = future
        self._left = max_bytes
        self._status = 0
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []

    def on_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self._status = status
        self._headers = dict(headers)

    def on_body(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self.on_error(UpstreamError("the response is larger than was allowed"))
        else:
            self._body.append(data)

    def on_end(self) -> None:
        if not self._future.done():
            self._future.set_result(Reply(self._status, self._headers, b"".join(self._body)))

    def on_error(self, error: UpstreamError) -> None:
        if not self._future.done():
            self._future.set_exception(error)


async def fetch(
    endpoint: str,
    method: str,
    path: str,
    *,
    body: bytes | None = None,
    headers: Sequence[tuple[bytes, bytes]] = (),
    timeout: float,
    max_bytes: int = 16 * _MiB,
) -> Reply:
    """Send one request on a connection of its own and return the whole response.

    Raises:
        UpstreamError: No connection, no whole response within ``timeout`` seconds, or a larger one
            than ``max_bytes``.
    """
    pool = Pool(endpoint, connect_timeout=timeout)
    collector = _Collector(asyncio.get_running_loop().create_future(), max_bytes)
    fields = [(b"content-type", b"application/json"), *headers] if body is not None else headers
    request = encode_request(method, path, host=pool.authority, headers=fields, body=body or b"")
    exchange = pool.send(request, collector)
    try:
        async with asyncio.timeout(timeout):
            return await collector._future
    except TimeoutError:
        message = f"{endpoint} did not answer {method} {path} within {timeout:g} s"
        raise UpstreamError(message) from None
    finally:
        exchange.cancel()
        await pool.close()
