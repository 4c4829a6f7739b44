from __future__ import annotations

from pathlib import Path

import pytest

from tests.engines.environment import NotInstalled, vllm_python
from tests.engines.tiny_llama import write_tiny_llama


@pytest.fixture(name="python", scope="session")
def _python() -> Path:
    """The interpreter of an environment with vLLM."""
    try:
        return vllm_python()
    except NotInstalled as reason:
        pytest.skip(f"vLLM cannot be installed here: {reason}")


@pytest.fixture(name="model", scope="session")
def _model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("model") / "tiny-llama")
