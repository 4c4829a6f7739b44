"""The base URL of a server, as users write it."""

from __future__ import annotations

from urllib.parse import urlsplit

from replicore.errors import ConfigError
from replicore.http.client import split_endpoint


def parse_endpoint(url: str) -> str:
    """Return the base URL of ``http://host:port``, ``.../`` or ``.../v1``.

    Raises:
        ConfigError: Not such a URL.
    """
    endpoint = url.strip().rstrip("/").removesuffix("/v1")
    split_endpoint(endpoint)
    if urlsplit(endpoint).path:
        raise ConfigError(f'endpoint "{url}" has a path; only /v1 may follow host and port')
    return endpoint
