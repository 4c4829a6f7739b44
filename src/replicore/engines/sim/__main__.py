"""``python -m replicore.engines.sim``: one simulated replica."""

from __future__ import annotations

import sys

from replicore.engines.sim.options import parse_options
from replicore.engines.sim.program import run
from replicore.errors import ReplicoreError


def main() -> int:
    """Return the exit code."""
    try:
        run(parse_options(sys.argv[1:]))
    except ReplicoreError as error:
        sys.stderr.write(f"error: {error.message}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
