"""``replicore sim``: the simulator, for a user's own tests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from replicore.engines.sim.options import SimOptions, fault_lines
from replicore.engines.sim.profiles import PROFILES, Batching
from replicore.engines.sim.program import run
from replicore.engines.sim.scheduler import Timing
from replicore.engines.sim.shapes import SHAPES

_DEFAULT = SimOptions()
_TIMING = Timing()

# \b keeps the lines as they are.
_FAULTS = "\b\nFaults:\n" + "\n".join(fault_lines())


def sim(
    host: str = _DEFAULT.host,
    port: Annotated[int, typer.Option(help="0 takes any free one.")] = _DEFAULT.port,
    reuse_port: Annotated[
        bool, typer.Option("--reuse-port", help="Listen where others may listen too.")
    ] = _DEFAULT.reuse_port,
    model: Annotated[str, typer.Option(help="The name that it serves.")] = _DEFAULT.model,
    slots: Annotated[
        int, typer.Option(help="Sequences worked on at the same time.")
    ] = _DEFAULT.slots,
    max_model_len: Annotated[
        int, typer.Option(help="Tokens per sequence, prompt and output.")
    ] = _DEFAULT.max_model_len,
    prefill_tokens_per_s: Annotated[
        float, typer.Option(help="Prompt tokens per second, all requests together.")
    ] = _TIMING.prefill_tokens_per_s,
    prefill_slope: Annotated[
        float, typer.Option(help="How much longer a prompt token takes with each 1,000 before it.")
    ] = _TIMING.prefill_slope,
    decode_tokens_per_s: Annotated[
        float, typer.Option(help="Output tokens per second of a sequence that runs alone.")
    ] = _TIMING.decode_tokens_per_s,
    decode_batch_slope: Annotated[
        float, typer.Option(help="How much longer a step takes with each further sequence.")
    ] = _TIMING.decode_batch_slope,
    decode_context_slope: Annotated[
        float, typer.Option(help="How much longer a step takes with each 1,000 tokens in it.")
    ] = _TIMING.decode_context_slope,
    profile: Annotated[
        str | None, typer.Option(help=f"Device, instead of the rates: {', '.join(PROFILES)}.")
    ] = _DEFAULT.profile,
    tp: Annotated[int, typer.Option(help="Cores of the device.")] = _DEFAULT.tp,
    shape: Annotated[
        str, typer.Option(help=f"Model on the device: {', '.join(SHAPES)}, or KEY=VALUE,...")
    ] = _DEFAULT.shape,
    batching: Annotated[
        Batching | None, typer.Option(help="The profile's where there is one.")
    ] = _DEFAULT.batching,
    kv_tokens: Annotated[
        int | None, typer.Option(help="Tokens that the KV cache holds.")
    ] = _DEFAULT.kv_tokens,
    speed: Annotated[float, typer.Option(help="Times faster than life.")] = _DEFAULT.speed,
    prefix_cache: Annotated[
        bool, typer.Option(help="Skip the prefill of prompt blocks seen before.")
    ] = _DEFAULT.prefix_cache,
    fault: Annotated[
        list[str] | None, typer.Option(metavar="KIND[=VALUE]", help="May be repeated.")
    ] = None,
    fault_once_file: Annotated[
        Path | None, typer.Option(help="Only the process that creates this file has the faults.")
    ] = _DEFAULT.fault_once_file,
) -> None:
    """Run an OpenAI server without a model."""
    options = SimOptions(
        host=host,
        port=port,
        reuse_port=reuse_port,
        model=model,
        slots=slots,
        max_model_len=max_model_len,
        timing=Timing(
            prefill_tokens_per_s=prefill_tokens_per_s,
            prefill_slope=prefill_slope,
            decode_tokens_per_s=decode_tokens_per_s,
            decode_batch_slope=decode_batch_slope,
            decode_context_slope=decode_context_slope,
        ),
        profile=profile,
        tp=tp,
        shape=shape,
        batching=batching,
        kv_tokens=kv_tokens,
        speed=speed,
        prefix_cache=prefix_cache,
        faults=tuple(fault or ()),
        fault_once_file=fault_once_file,
    )
    run(options)


sim.__doc__ = f"{sim.__doc__}\n\n{_FAULTS}"
