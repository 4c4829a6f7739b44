"""Does the KV cache of a vLLM replica on CPU cores hold what its slots ask of it? Pure.

That it holds one sequence is checked where the layout is chosen (``engines/vllm/memory.py``).
"""

from __future__ import annotations

from collections.abc import Iterator

from replicore.engines.vllm.memory import cpu_kv_cache_gib, element_bytes, kv_bytes_per_token
from replicore.findings import Finding
from replicore.lints.flags import flag_values
from replicore.lints.plan import Plan
from replicore.units import GIB, format_size

_KEY = "engine.vllm.cpu_kv_cache"


def lint_cpu_kv_cache(plan: Plan) -> Iterator[Finding]:
    """Compare ``engine.vllm.cpu_kv_cache`` with the mean requests of all slots."""
    if plan.spec.engine.kind != "vllm" or plan.machine.kind != "cpu":
        return
    ranks = plan.layout.tp // plan.spec.engine.vllm.cores_per_rank
    each = kv_bytes_per_token(plan.shape, ranks, _element_bytes(plan))
    size = cpu_kv_cache_gib(plan.spec.engine.vllm.cpu_kv_cache, ranks) * ranks * GIB
    tokens, busy = size // each, _tokens_of_all_slots(plan)
    if tokens >= busy:
        message = f"{_KEY}: {format_size(size)} hold {tokens} tokens of a replica"
        yield Finding(level="ok", check="kv-cache", message=message)
        return
    yield Finding(
        level="warning",
        check="kv-cache",
        message=f"{_KEY}: {format_size(size)} hold {tokens} tokens, fewer than the {busy} that "
        f"{plan.layout.batch_size} mean requests of [workload] have; vLLM stops some and begins "
        "them again",
        fix=f'{_KEY} = "{-(-busy * each // GIB)}GiB", or a lower layout.batch_size',
        key=_KEY,
    )


def _element_bytes(plan: Plan) -> float:
    given = flag_values(plan.spec.engine.args, "--kv-cache-dtype")
    options = {"--kv-cache-dtype": given[-1]} if given else {}
    return element_bytes(plan.spec.engine.vllm.dtype, options)


def _tokens_of_all_slots(plan: Plan) -> int:
    workload, layout = plan.spec.workload, plan.layout
    mean = workload.input_tokens.mean + workload.output_tokens.mean
    return layout.batch_size * min(mean, layout.max_model_len)
