"""Which files of weights vLLM serves. Pure."""

from __future__ import annotations

from replicore.errors import ConfigError
from replicore.models.shape import ModelShape


def check_format(shape: ModelShape) -> None:
    """Check that vLLM can load the model.

    Raises:
        ConfigError: It cannot.
    """
    if shape.file_format == "gguf":
        raise ConfigError(
            "model.source: the model is a GGUF file, and vLLM serves folders with config.json "
            "and safetensors",
            hint="give the repository or folder of its safetensors: --set model.source=ORG/NAME; "
            'on CPUs engine.kind = "llamacpp" serves GGUF files',
        )
