"""A compile in a process of its own, for tests to kill: ``STORE FAULT``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from replicore.deploy.compile import Compile
from tests.integration.compiled_engine import CompiledEngine, Told, compiled, with_store


class Printed(Told):
    """Prints the lines, so that a test knows how far it is."""

    def line(self, text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    store = Path(sys.argv[1])
    deployment = with_store(store, CompiledEngine(compiled(sys.argv[2])))
    asyncio.run(Compile(deployment, store.parent / "state", Printed()).run())
