"""OPENAI_API_BASE and OPENAI_API_KEY."""

from __future__ import annotations

import pytest

from replicore.bench.llmperf.servers import Servers, read_servers
from replicore.errors import ConfigError


def read(base: str, key: str = "EMPTY") -> Servers:
    return read_servers({"OPENAI_API_BASE": base, "OPENAI_API_KEY": key})


@pytest.mark.parametrize("base", ["http://a:1/v1", "http://a:1/v1/", " http://a:1/v1 "])
def test_base_gets_a_slash_and_the_route(base: str) -> None:
    found = read(base)

    assert found.endpoints == ("http://a:1",)
    assert found.path == "/v1/chat/completions"


def test_path_of_a_base_is_kept_whatever_it_is() -> None:
    assert read("http://a:1").path == "/chat/completions"
    assert read("http://a:1/team/v2").path == "/team/v2/chat/completions"


def test_bases_of_the_tutorial_are_two_servers() -> None:
    found = read("http://0.0.0.0:8000/v1;http://0.0.0.0:8001/v1")

    assert found.endpoints == ("http://0.0.0.0:8000", "http://0.0.0.0:8001")


def test_blanks_and_empty_parts_are_dropped() -> None:
    assert read(" http://a:1/v1 ; ;http://b:2/v1;").endpoints == ("http://a:1", "http://b:2")


def test_key_is_sent_as_a_bearer_token() -> None:
    assert read("http://a:1/v1", "secret").headers == ((b"authorization", b"Bearer secret"),)


@pytest.mark.parametrize("missing", ["OPENAI_API_BASE", "OPENAI_API_KEY"])
@pytest.mark.parametrize("value", [None, ""])
def test_variable_that_is_not_set_is_refused(missing: str, value: str | None) -> None:
    environ = {"OPENAI_API_BASE": "http://a:1/v1", "OPENAI_API_KEY": "EMPTY"}
    environ.pop(missing)
    if value is not None:
        environ[missing] = value

    with pytest.raises(ConfigError, match=f"the environment variable {missing} must be set"):
        read_servers(environ)


@pytest.mark.parametrize("base", ["a:1/v1", "https://a/v1", "http:///v1", "http://a:1/v1?x=1"])
def test_base_that_is_no_plain_url_is_refused(base: str) -> None:
    with pytest.raises(ConfigError, match="is not a URL such as"):
        read(base)


def test_base_that_names_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="names no server"):
        read(" ; ")


def test_bases_with_different_paths_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"paths /v1/chat/completions and /v2/chat/completions"):
        read("http://a:1/v1;http://b:2/v2")
