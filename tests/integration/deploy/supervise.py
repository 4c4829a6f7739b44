"""A supervisor in a process of its own, for tests that kill it. Arguments go to the fake engine."""

from __future__ import annotations

import asyncio
import sys

from replicore.deploy.supervisor import running
from tests.integration.deploy.deployments import DEADLINE_S, FakeEngine, deployment


async def main() -> None:
    async with running(deployment(FakeEngine(*sys.argv[1:]))) as supervisor:
        await supervisor.wait_ready(DEADLINE_S)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await supervisor.wait_stop_asked()


if __name__ == "__main__":
    asyncio.run(main())
