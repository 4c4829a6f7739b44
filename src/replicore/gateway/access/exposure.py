"""Who can reach the front door: this machine only, or others too."""

from __future__ import annotations

import socket
from ipaddress import ip_address

from replicore.errors import ConfigError


def check_exposure(host: str, *, has_keys: bool, insecure: bool) -> None:
    """Refuse to serve other machines without API keys, unless somebody wants exactly that.

    Raises:
        ConfigError: Anybody could use the model, or the host has no address.
    """
    if has_keys or insecure or is_loopback(host):
        return
    raise ConfigError(
        f'gateway.host: "{host}" takes requests from other machines, and no API keys are asked '
        f"for; without keys it must be a loopback address, such as 127.0.0.1",
        hint="`replicore keys add keys.txt NAME` makes a key, and `--set "
        "gateway.api_keys_file=keys.txt` asks for it; in a container whose port is published to "
        "127.0.0.1 only, or behind a proxy that checks requests, `--insecure` does without",
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address, or every address of the name.

    Raises:
        ConfigError: The name has no address.
    """
    if not host:
        return False  # bind(2) takes it for all addresses
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError(
            f'gateway.host: "{host}" has no address ({error.strerror}); use an address of this '
            f"machine, such as 127.0.0.1, or 0.0.0.0 for all of them"
        ) from None
    return all(ip_address(str(address[0]).partition("%")[0]).is_loopback for *_, address in found)
