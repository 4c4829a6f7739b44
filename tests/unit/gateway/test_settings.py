from __future__ import annotations

from pathlib import Path

import pytest

from replicore.errors import ConfigError
from replicore.gateway.settings import settings_of
from replicore.gateway.table import Settings
from replicore.spec import GatewaySpec


def test_the_specs_defaults_are_the_gateways() -> None:
    assert settings_of(GatewaySpec()) == Settings()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (GatewaySpec(policy="consistent_hash"), r'gateway\.policy: "consistent_hash" is not in'),
        (GatewaySpec(workers=2), r"gateway\.workers: 2 workers"),
        (GatewaySpec(api_keys_file=Path("keys")), r"gateway\.api_keys_file"),
    ],
)
def test_what_this_version_lacks_is_refused(spec: GatewaySpec, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings_of(spec)
