from __future__ import annotations

import pytest

from replicore.errors import ConfigError
from replicore.gateway.access.exposure import check_exposure


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_needs_no_keys(host: str) -> None:
    check_exposure(host, has_keys=False, insecure=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1", "2001:db8::1"])
def test_host_that_others_reach_needs_keys_or_a_decision(host: str) -> None:
    check_exposure(host, has_keys=True, insecure=False)
    check_exposure(host, has_keys=False, insecure=True)

    with pytest.raises(ConfigError, match=f'"{host}" takes requests from other machines') as caught:
        check_exposure(host, has_keys=False, insecure=False)
    assert "replicore keys add" in (caught.value.hint or "")
    assert "--insecure" in (caught.value.hint or "")


def test_name_with_an_address_that_others_reach_needs_keys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = [(0, 0, 0, "", (address, 0)) for address in ("127.0.0.1", "192.0.2.1")]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: found)

    with pytest.raises(ConfigError, match="takes requests from other machines"):
        check_exposure("my-host", has_keys=False, insecure=False)


def test_name_without_an_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", fail)

    with pytest.raises(ConfigError, match=r'"nowhere" has no address \(Name or service not known'):
        check_exposure("nowhere", has_keys=False, insecure=False)
