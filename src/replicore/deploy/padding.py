"""What prompts are padded to where their lengths are compiled in. Pure."""

from __future__ import annotations

from itertools import count, pairwise, takewhile
from statistics import NormalDist

from replicore.engines.neuron.inference_demo import has_buckets
from replicore.planner.question import Lengths
from replicore.spec import NeuronSpec

# NxD Inference's own buckets begin here, and each is twice the one before.
_SHORTEST = 128


def padded_prompt(spec: NeuronSpec, prompts: Lengths, max_model_len: int) -> float:
    """Return the mean of what prompts are padded to, in tokens; their lengths are normal."""
    sizes = compiled_prompts(spec, max_model_len)
    if not prompts.stddev:
        return next((size for size in sizes if size >= prompts.mean), sizes[-1])
    normal = NormalDist(prompts.mean, prompts.stddev)
    up_to = [0.0, *map(normal.cdf, sizes[:-1]), 1.0]
    shares = [after - before for before, after in pairwise(up_to)]
    return sum(share * size for share, size in zip(shares, sizes, strict=True))


def compiled_prompts(spec: NeuronSpec, max_model_len: int) -> list[int]:
    """Return the prompt lengths that are compiled, ascending; a longer prompt is refused."""
    longest = spec.max_context_length or max_model_len
    if spec.context_buckets:
        return sorted(spec.context_buckets)
    if not has_buckets(spec):
        return [longest]
    doubled = (_SHORTEST << number for number in count())
    return [*takewhile(lambda size: size < longest, doubled), longest]
