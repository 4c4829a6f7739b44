"""``python -m replicore.bench.selfcheck.mock``: the mock as a process."""

from __future__ import annotations

import argparse
import resource
import sys
from collections.abc import Sequence

from replicore.bench.selfcheck.mock.listening import listen
from replicore.bench.selfcheck.mock.server import MockServer, Plan
from replicore.errors import INTERRUPTED_EXIT_CODE
from replicore.http.address import url_of


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until a signal, or the end of the standard input where that is asked for."""
    options = _parser().parse_args(argv)
    plan = Plan(ttft_s=options.ttft_ms / 1000, itl_s=options.itl_ms / 1000, tokens=options.tokens)
    _take_all_files()
    try:
        listener = listen(options.host, options.port)
    except OSError as error:
        where = f"{options.host}:{options.port}"
        sys.stderr.write(f"error: cannot listen on {where}: {error.strerror or error}\n")
        return 1
    with listener:
        sys.stdout.write(f"mock at {url_of(listener)}\n")
        sys.stdout.flush()
        server = MockServer(listener, plan, until=sys.stdin.fileno() if options.until_eof else None)
        try:
            server.run()
        except KeyboardInterrupt:
            return INTERRUPTED_EXIT_CODE
        finally:
            server.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    default = Plan()
    parser = argparse.ArgumentParser(
        prog="python -m replicore.bench.selfcheck.mock",
        description="An OpenAI server without a model, whose every token has a known time.",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0 takes any free one")
    parser.add_argument("--ttft-ms", type=float, default=default.ttft_s * 1000)
    parser.add_argument("--itl-ms", type=float, default=default.itl_s * 1000)
    parser.add_argument(
        "--tokens", type=int, default=default.tokens, help="where a request does not say how many"
    )
    parser.add_argument(
        "--until-eof", action="store_true", help="end with the standard input, so with the parent"
    )
    return parser


def _take_all_files() -> None:
    """Allow as many connections as the system does, not only the 1,024 of most shells."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    sys.exit(main())
