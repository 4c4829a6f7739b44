"""The simulator's options, and its command line.

Plain argparse: the program must be up in a fraction of a second, and importing what replicore's own
command line is built on takes longer than that.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import NoReturn, get_args

from replicore.engines.sim.faults import KINDS, parse_faults
from replicore.engines.sim.profiles import PROFILES, Batching
from replicore.engines.sim.scheduler import Timing
from replicore.engines.sim.shapes import DEFAULT_SHAPE, SHAPES, parse_shape
from replicore.errors import ConfigError
from replicore.wording import nearest, quoted

DEFAULT_TIMING = Timing()
BATCHINGS = get_args(Batching)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimOptions:
    """How one simulator runs.

    Attributes:
        model: The name that it serves.
        slots: Sequences worked on at the same time.
        max_model_len: Tokens per sequence, prompt and output.
        timing: How fast it is, where there is no profile.
        profile: The device whose steps it takes the time of, one of ``PROFILES``.
        tp: Cores of the device.
        shape: The model whose steps they are, see :func:`~.shapes.parse_shape`.
        batching: Unset: the profile's; without one, every sequence at its own pace.
        kv_tokens: Tokens that the KV cache holds, for continuous batching. Unset: what the
            profile's memory leaves; without one, ``slots`` x ``max_model_len``.
        speed: Everything takes so many times less than in life.
        faults: ``KIND`` or ``KIND=VALUE``, see :data:`~replicore.engines.sim.faults.KINDS`.
        fault_once_file: With it, only the process that creates this file has the faults, so that a
            restarted one works.

    Raises:
        ConfigError: A value is out of its range.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    reuse_port: bool = False
    model: str = "simulated"
    slots: int = 16
    max_model_len: int = 8192
    timing: Timing = field(default=DEFAULT_TIMING)
    profile: str | None = None
    tp: int = 1
    shape: str = DEFAULT_SHAPE
    batching: Batching | None = None
    kv_tokens: int | None = None
    speed: float = 1.0
    prefix_cache: bool = True
    faults: tuple[str, ...] = ()
    fault_once_file: Path | None = None

    def __post_init__(self) -> None:
        _check("--port", self.port, 0 <= self.port <= 65_535, "from 0 to 65535")
        _check("--slots", self.slots, self.slots >= 1, "at least 1")
        _check("--max-model-len", self.max_model_len, self.max_model_len >= 2, "at least 2")
        _check("--tp", self.tp, self.tp >= 1, "at least 1")
        _check_rate("--speed", self.speed)
        _check_timing(self.timing)
        self._check_profile()
        self._check_kv_tokens()
        parse_shape(self.shape)
        parse_faults(self.faults)

    @property
    def batches(self) -> Batching:
        """How sequences are batched."""
        if self.batching is not None:
            return self.batching
        return PROFILES[self.profile].batching if self.profile is not None else "independent"

    def _check_profile(self) -> None:
        if self.profile is None:
            return
        if self.profile not in PROFILES:
            raise unknown_profile("--profile", self.profile)
        if self.timing != DEFAULT_TIMING:
            raise ConfigError(
                f"--profile: {self.profile} says how fast the engine is, and so do the rates; "
                "give one of them"
            )

    def _check_kv_tokens(self) -> None:
        if self.kv_tokens is None:
            return
        _check("--kv-tokens", self.kv_tokens, self.kv_tokens >= 1, "at least 1")
        if self.batches != "continuous":
            raise ConfigError(
                f"--kv-tokens: {self.kv_tokens} is for continuous batching, not for "
                f"{self.batches}, where each slot has its own; add --batching continuous"
            )


def unknown_profile(key: str, name: str) -> ConfigError:
    near = nearest(name, PROFILES)
    suggestion = f"; did you mean {quoted(near)}?" if near else ""
    valid = ", ".join(PROFILES)
    return ConfigError(f"{key}: {quoted(name)} is unknown (valid: {valid}){suggestion}")


def _check_timing(timing: Timing) -> None:
    _check_rate("--prefill-tokens-per-s", timing.prefill_tokens_per_s)
    _check_rate("--decode-tokens-per-s", timing.decode_tokens_per_s)
    for flag, slope in (
        ("--prefill-slope", timing.prefill_slope),
        ("--decode-batch-slope", timing.decode_batch_slope),
        ("--decode-context-slope", timing.decode_context_slope),
    ):
        _check(flag, slope, isfinite(slope) and slope >= 0, "at least 0")


def _check_rate(flag: str, rate: float) -> None:
    _check(flag, rate, isfinite(rate) and rate > 0, "above 0")


def _check(flag: str, value: float, holds: bool, rule: str) -> None:
    if not holds:
        raise ConfigError(f"{flag}: {value:g} is not {rule}")


def parse_options(argv: Sequence[str]) -> SimOptions:
    """Return the options of a command line.

    Raises:
        ConfigError: An unknown option, with the nearest one, or a wrong value.
    """
    parser = _parser()
    values, rest = parser.parse_known_args(argv)
    if rest:
        raise _unknown(rest[0])
    return SimOptions(
        host=values.host,
        port=values.port,
        reuse_port=values.reuse_port,
        model=values.model,
        slots=values.slots,
        max_model_len=values.max_model_len,
        timing=Timing(
            prefill_tokens_per_s=values.prefill_tokens_per_s,
            prefill_slope=values.prefill_slope,
            decode_tokens_per_s=values.decode_tokens_per_s,
            decode_batch_slope=values.decode_batch_slope,
            decode_context_slope=values.decode_context_slope,
        ),
        profile=values.profile,
        tp=values.tp,
        shape=values.shape,
        batching=values.batching,
        kv_tokens=values.kv_tokens,
        speed=values.speed,
        prefix_cache=values.prefix_cache,
        faults=tuple(values.fault),
        fault_once_file=values.fault_once_file,
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(message)


def _parser() -> _Parser:
    default = SimOptions()
    parser = _Parser(
        prog="python -m replicore.engines.sim",
        description="An OpenAI server without a model, deterministic in its text and its timing.",
        epilog="faults:\n" + "\n".join(fault_lines()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--host", default=default.host)
    add("--port", type=int, default=default.port, help="0 takes any free one")
    add("--reuse-port", action="store_true", help="listen where others may listen too")
    add("--model", default=default.model, metavar="NAME")
    add("--slots", type=int, default=default.slots)
    add("--max-model-len", type=int, default=default.max_model_len, metavar="TOKENS")
    timing = DEFAULT_TIMING
    add("--prefill-tokens-per-s", type=float, default=timing.prefill_tokens_per_s, metavar="RATE")
    add("--prefill-slope", type=float, default=timing.prefill_slope, metavar="SHARE")
    add("--decode-tokens-per-s", type=float, default=timing.decode_tokens_per_s, metavar="RATE")
    add("--decode-batch-slope", type=float, default=timing.decode_batch_slope, metavar="SHARE")
    add("--decode-context-slope", type=float, default=timing.decode_context_slope, metavar="SHARE")
    add("--profile", metavar="DEVICE", help=f"instead of the rates: {', '.join(PROFILES)}")
    add("--tp", type=int, default=default.tp, metavar="CORES", help="of the device")
    shapes = f"{', '.join(SHAPES)}, or KEY=VALUE,..."
    add("--shape", default=default.shape, metavar="MODEL", help=shapes)
    add("--batching", choices=BATCHINGS, help="the profile's where there is one")
    add("--kv-tokens", type=int, metavar="TOKENS", help="of the KV cache")
    add("--speed", type=float, default=default.speed, help="times faster than life")
    add("--prefix-cache", action=argparse.BooleanOptionalAction, default=default.prefix_cache)
    add("--fault", action="append", default=[], metavar="KIND[=VALUE]", help="may be repeated")
    add("--fault-once-file", type=Path, metavar="PATH")
    return parser


def option_names() -> set[str]:
    """Return every option as it is written on the command line."""
    return {name for action in _parser()._actions for name in action.option_strings}


def fault_lines() -> list[str]:
    """Return one line of help per fault."""
    names = [f"{name}={kind.value}" if kind.value else name for name, kind in KINDS.items()]
    meanings = [kind.meaning for kind in KINDS.values()]
    return [f"  {name:<24}{meaning}" for name, meaning in zip(names, meanings, strict=True)]


def _unknown(argument: str) -> ConfigError:
    name = argument.partition("=")[0]
    near = nearest(name, option_names())
    suggestion = f"; did you mean {near}?" if near else ""
    return ConfigError(f"the simulator has no option {quoted(name)}{suggestion}")
