"""The table of known errors for ``docs/doctor.md``: ``python -m replicore.doctor.docs``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from replicore.engines.known_errors.known_error import KnownError
from replicore.engines.known_errors.llamacpp import LLAMACPP
from replicore.engines.known_errors.neuron import NEURON
from replicore.engines.known_errors.system import SYSTEM
from replicore.engines.known_errors.vllm import VLLM

_GROUPS: Mapping[str, Iterable[KnownError]] = MappingProxyType(
    {
        "Neuron": NEURON,
        "vLLM, CUDA and the model hub": VLLM,
        "llama.cpp": LLAMACPP,
        "Kernel, C library and Python": SYSTEM,
    }
)


def known_errors_section() -> str:
    """Return a table for each group."""
    return "\n".join(f"### {title}\n\n{_table(errors)}" for title, errors in _GROUPS.items())


def _table(errors: Iterable[KnownError]) -> str:
    rows = [f"| {error.name} | {error.cause} | {error.cure} |" for error in errors]
    return "\n".join(["| error | cause | cure |", "|---|---|---|", *rows, ""])


if __name__ == "__main__":
    sys.stdout.write(known_errors_section())
