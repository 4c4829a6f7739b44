from __future__ import annotations

import asyncio

import pytest

from replicore.cli.gateway import serve_until_stopped
from replicore.gateway.server import Gateway
from replicore.gateway.table import Settings
from replicore.http.server import listen


async def fail() -> None:
    raise ValueError("lost the table")


def test_error_of_what_hands_over_tables_ends_the_serving() -> None:
    async def run() -> None:
        await serve_until_stopped(Gateway(Settings()), listen("127.0.0.1", 0), fail())

    with pytest.raises(ValueError, match="lost the table"):
        asyncio.run(run())
