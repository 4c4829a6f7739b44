"""Arguments of an engine that undo what replicore is for. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from replicore.findings import Finding
from replicore.lints.flags import flag_values
from replicore.wording import quoted

if TYPE_CHECKING:
    from replicore.spec import Spec

_VLLM = ("vllm", "neuron")


def lint_arguments(spec: Spec) -> Iterator[Finding]:
    """Warn of vLLM's own data parallelism, and of a tokenizer that is not the model's."""
    if spec.engine.kind not in _VLLM:
        return
    for flag in ("--data-parallel-size", "-dp"):
        for degree in _degrees(spec.engine.args, flag):
            yield _data_parallel(flag, degree)
    for tokenizer in flag_values(spec.engine.args, "--tokenizer"):
        if tokenizer not in (spec.model.source, spec.model.served_name):
            yield _other_tokenizer(tokenizer)


def _degrees(args: tuple[str, ...], flag: str) -> tuple[str, ...]:
    if flag.startswith("--"):
        return flag_values(args, flag)
    return tuple(after for arg, after in pairwise(args) if arg == flag)


def _data_parallel(flag: str, degree: str) -> Finding:
    return Finding(
        level="error" if degree != "1" else "warning",
        check="data-parallel",
        message=f"engine.args: {flag} {degree} makes each replica start {degree} engines of its "
        "own, on cores that it does not have",
        fix="take it out and set layout.replicas",
        key="engine.args",
    )


def _other_tokenizer(tokenizer: str) -> Finding:
    return Finding(
        level="warning",
        check="tokenizer",
        message=f"engine.args: --tokenizer {quoted(tokenizer)} is not the model's own, so lengths "
        "in tokens, and what the benchmark counts, are those of another vocabulary",
        fix="take --tokenizer out",
        key="engine.args",
    )
