"""Finding LLMPerf's text, which its prompts are made of; it is not ours to ship."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from replicore.errors import ConfigError

# Of the file, which is the same in v2.0 and in the last version.
_SHA256 = "a4fef83b31e3769bc1c8e9b795a5e442929ea101c54d4e00c93516179f9ad2e0"
_IN_CHECKOUT = Path("src/llmperf/sonnet.txt")


def read_sonnet(sonnet: Path | None, llmperf: Path | None) -> Sequence[str]:
    """Return the lines of the text, with their newlines.

    Args:
        sonnet: The file itself.
        llmperf: A checkout that has it.

    Raises:
        ConfigError: It is not there, or it is another text: prompts would not be LLMPerf's.
    """
    path = sonnet or (llmperf / _IN_CHECKOUT if llmperf is not None else None)
    if path is None:
        raise ConfigError(
            "the old modes send lines of LLMPerf's sonnet.txt, and it was not named",
            hint="--llmperf PATH names a checkout of LLMPerf, --sonnet PATH the file",
        )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != _SHA256:
        raise ConfigError(
            f"{path} is not LLMPerf's text: its sha256 begins with {digest[:8]}, not {_SHA256[:8]}"
        )
    return data.decode().splitlines(keepends=True)
