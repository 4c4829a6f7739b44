"""Every lint of a deployment, in one call. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING

from replicore.engines.recipe import Value
from replicore.findings import Finding, Level
from replicore.hardware.machine import Machine
from replicore.lints.addresses import lint_endpoints
from replicore.lints.arguments import lint_arguments
from replicore.lints.buckets import lint_buckets
from replicore.lints.compiled import lint_compile_args, lint_compiled
from replicore.lints.concurrency import lint_concurrency
from replicore.lints.flash_attention import lint_flash_attention
from replicore.lints.heads import lint_heads
from replicore.lints.kv_cache import lint_cpu_kv_cache
from replicore.lints.lengths import lint_request_lengths, lint_unused_length
from replicore.lints.loading import lint_shard_weights, lint_start_timeout
from replicore.lints.plan import LayoutLike, Plan
from replicore.lints.sampling import lint_sampling
from replicore.lints.supervision import lint_giving_up
from replicore.lints.variables import lint_variables
from replicore.models.shape import ModelShape

if TYPE_CHECKING:
    from replicore.spec import Spec

_OF_SPEC: tuple[Callable[[Spec], Iterator[Finding]], ...] = (
    lint_compile_args,
    lint_sampling,
    lint_variables,
    lint_arguments,
    lint_endpoints,
    lint_giving_up,
)
_OF_PLAN: tuple[Callable[[Plan], Iterator[Finding]], ...] = (
    lint_compiled,
    lint_request_lengths,
    lint_unused_length,
    lint_buckets,
    lint_flash_attention,
    lint_concurrency,
    lint_shard_weights,
    lint_start_timeout,
    lint_heads,
    lint_cpu_kv_cache,
)
_LEVELS: tuple[Level, ...] = ("error", "warning", "ok")


def lint(
    spec: Spec,
    *,
    shape: ModelShape,
    machine: Machine,
    layout: LayoutLike,
    compiled: Mapping[str, Value] | None = None,
) -> tuple[Finding, ...]:
    """Return what the deployment would do otherwise than expected, errors first.

    Args:
        layout: The one that was chosen.
        compiled: What the artefact that the replicas would load was compiled with, by dotted key
            of the spec (``Recipe.fields``); None where there is none.
    """
    plan = Plan(spec=spec, shape=shape, machine=machine, layout=layout, compiled=compiled)
    found = chain.from_iterable(lint_plan(plan) for lint_plan in _OF_PLAN)
    return errors_first(chain(lint_spec(spec), found))


def lint_spec(spec: Spec) -> tuple[Finding, ...]:
    """Return what can be said without a model and a machine; part of what :func:`lint` returns."""
    return errors_first(chain.from_iterable(lint_one(spec) for lint_one in _OF_SPEC))


def errors_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return errors, then warnings, then what is well, each in the order in which it was found."""
    return tuple(sorted(findings, key=lambda finding: _LEVELS.index(finding.level)))
