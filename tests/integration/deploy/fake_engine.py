"""An engine for tests: answers ``/health`` and nothing else. Its options are its faults."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer


class Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


class Engine(HTTPServer):
    allow_reuse_address = True

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()


def fork_daemon() -> None:
    """Leave a process that belongs to no group of ours and does not end when asked to."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            while True:
                time.sleep(60)
        os._exit(0)
    os.wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ignore-sigterm", action="store_true")
    parser.add_argument("--daemon", action="store_true")
    parser.add_argument("--silent", action="store_true", help="run, but never listen")
    parser.add_argument("--exit", type=int, help="exit at once, with this code")
    options = parser.parse_args()
    sys.stderr.write("fake engine\n")
    if options.exit is not None:
        sys.stderr.write("RuntimeError: no such luck\n")
        sys.exit(options.exit)
    if options.ignore_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if options.daemon:
        fork_daemon()
    if options.silent:
        signal.pause()
    Engine(("127.0.0.1", options.port), Health).serve_forever()


if __name__ == "__main__":
    main()
