"""Asking the installed ``inference_demo`` for its flags."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from replicore.engines.interpreter import ask_program, why_not
from replicore.engines.neuron.demo_flags import DemoFlags, flags_in
from replicore.errors import ConfigError
from replicore.wording import quoted

# Most of it is importing torch
TIMEOUT_S = 300.0


def ask_flags(program: Path, env: Mapping[str, str]) -> DemoFlags:
    """Run ``inference_demo run --help``; takes seconds.

    Args:
        env: Variables on top of this process's own.

    Raises:
        ConfigError: It is not there, or prints no help.
    """
    argv = [str(program), "run", "--help"]
    try:
        printed = ask_program(argv, env=env, timeout_s=TIMEOUT_S)
    except FileNotFoundError as error:
        raise ConfigError(
            f"engine.python: there is no {quoted(str(program))} beside it to compile with",
            hint="inference_demo is a part of neuronx-distributed-inference",
        ) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"{program} cannot run: {why_not(error)}") from error
    names = flags_in(printed.text)
    if "--compiled-model-path" not in names:
        raise ConfigError(f"{program} run --help prints no flags: {printed.last_line}")
    return DemoFlags(names)
