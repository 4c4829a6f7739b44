from __future__ import annotations

from pathlib import Path

import pytest

from replicore.errors import ConfigError
from replicore.gateway.settings import check_settings, settings_of
from replicore.gateway.table import Settings
from replicore.spec import GatewaySpec


def test_the_specs_defaults_are_the_gateways() -> None:
    assert settings_of(GatewaySpec()) == Settings()


def test_every_setting_comes_from_the_spec() -> None:
    theirs = {"drain_timeout"}
    renamed = set(Settings.__struct_fields__) - theirs - set(GatewaySpec.model_fields)

    assert renamed == set()


def test_paths_are_absolute_since_a_worker_may_have_another_folder() -> None:
    settings = settings_of(GatewaySpec(access_log=Path("access.log")))

    assert settings.access_log == str(Path.cwd() / "access.log")


def test_worker_ends_its_drain_before_it_would_be_killed() -> None:
    assert settings_of(GatewaySpec(), stop_grace=10).drain_timeout == 9
    assert settings_of(GatewaySpec(), stop_grace=1).drain_timeout == 0.5


def test_policy_that_this_version_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replicore.gateway.settings.POLICIES", {"random": None})

    with pytest.raises(ConfigError, match=r'gateway\.policy: "least_work" is not in this version'):
        settings_of(GatewaySpec())


def test_host_that_others_reach_is_refused_without_keys() -> None:
    with pytest.raises(ConfigError, match=r'gateway\.host: "0\.0\.0\.0"'):
        settings_of(GatewaySpec(host="0.0.0.0"))


def test_key_file_is_read_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no-such\.txt"):
        settings_of(GatewaySpec(api_keys_file=tmp_path / "no-such.txt"))


def test_files_of_the_machine_that_will_serve_need_not_be_here() -> None:
    elsewhere = Path("/etc/replicore")
    check_settings(
        GatewaySpec(
            host="0.0.0.0",
            api_keys_file=elsewhere / "keys.txt",
            tls_cert=elsewhere / "cert.pem",
            tls_key=elsewhere / "key.pem",
        )
    )

    with pytest.raises(ConfigError, match=r'gateway\.host: "0\.0\.0\.0"'):
        check_settings(GatewaySpec(host="0.0.0.0"))
