"""Which servers LLMPerf's environment variables name. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from replicore.errors import ConfigError

_BASE = "OPENAI_API_BASE"
_KEY = "OPENAI_API_KEY"
_ROUTE = "chat/completions"


@dataclass(frozen=True, slots=True)
class Servers:
    """Where requests go.

    Attributes:
        endpoints: ``http://host:port`` of each.
        path: Of every one of them.
        key: Sent as ``Authorization: Bearer``.
    """

    endpoints: tuple[str, ...]
    path: str
    key: str

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        return ((b"authorization", f"Bearer {self.key}".encode()),)


def read_servers(environ: Mapping[str, str]) -> Servers:
    """Return the servers of ``OPENAI_API_BASE="URL[;URL...]"``; blanks and empty parts are dropped.

    A URL is a base: with a slash, which is added where it is missing, and ``chat/completions``.

    Raises:
        ConfigError: A variable is not set, or a URL is not one that we can use.
    """
    bases = [part.strip() for part in _variable(environ, _BASE).split(";") if part.strip()]
    if not bases:
        raise ConfigError(f'{_BASE}: "{environ[_BASE]}" names no server')
    places = [_place(base) for base in bases]
    paths = sorted({path for _, path in places})
    if len(paths) > 1:
        raise ConfigError(f"{_BASE}: servers have the paths {paths[0]} and {paths[1]}, not one")
    return Servers(tuple(endpoint for endpoint, _ in places), paths[0], _variable(environ, _KEY))


def _variable(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name)
    if not value:
        example = "http://127.0.0.1:8000/v1" if name == _BASE else "EMPTY"
        raise ConfigError(
            f"the environment variable {name} must be set", hint=f'export {name}="{example}"'
        )
    return value


def _place(base: str) -> tuple[str, str]:
    parts = urlsplit(base)
    if parts.scheme != "http" or not parts.netloc or parts.query or parts.fragment:
        raise ConfigError(f'{_BASE}: "{base}" is not a URL such as http://127.0.0.1:8000/v1')
    path = parts.path if parts.path.endswith("/") else f"{parts.path}/"
    return f"http://{parts.netloc}", path + _ROUTE
