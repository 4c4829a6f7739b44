"""``--set KEY=VALUE``: any key of the spec on the command line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from replicore.errors import ConfigError

Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any key of the spec: layout.batch_size=8."),
]


def settings_given(pairs: Iterable[str]) -> dict[str, str]:
    """Return what ``--set`` sets, by dotted key.

    Raises:
        ConfigError: One has no ``KEY=VALUE`` form.
    """
    settings = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise ConfigError(
                f'--set: "{pair}" has no KEY=VALUE form; write it like layout.batch_size=8'
            )
        settings[key] = value
    return settings
