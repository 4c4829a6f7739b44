from __future__ import annotations

import socket

import pytest

from replicore.errors import ConfigError
from replicore.http.address import authority, url_of
from replicore.http.endpoint import parse_endpoint


class Listener(socket.socket):
    """A socket that says that it listens on an address, which this machine need not have."""

    def __init__(self, *name: object) -> None:
        super().__init__()
        self.name = name

    def getsockname(self) -> tuple[object, ...]:
        return self.name


@pytest.mark.parametrize(
    ("name", "url"),
    [
        (("127.0.0.1", 8000), "http://127.0.0.1:8000"),
        (("0.0.0.0", 8000), "http://127.0.0.1:8000"),
        (("::1", 8000, 0, 0), "http://[::1]:8000"),
        (("::", 8000, 0, 0), "http://[::1]:8000"),
    ],
)
def test_url_of_a_listening_socket_is_how_this_machine_reaches_it(
    name: tuple[object, ...], url: str
) -> None:
    with Listener(*name) as listener:
        assert url_of(listener) == url


def test_authority_of_a_name_has_no_brackets() -> None:
    assert authority("localhost", 80) == "localhost:80"


@pytest.mark.parametrize("url", ["http://h:1", "http://h:1/", "http://h:1/v1", " http://h:1/v1/ "])
def test_endpoint_is_without_v1(url: str) -> None:
    assert parse_endpoint(url) == "http://h:1"


@pytest.mark.parametrize("url", ["http://h:1/x", "http://h:1/x/v1"])
def test_endpoint_with_a_path_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="has a path; only /v1 may follow"):
        parse_endpoint(url)
