"""Asking the installed ``inference_demo`` for its flags."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

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
    environment = {**os.environ, **env}
    try:
        done = subprocess.run(
            argv, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S
        )
    except FileNotFoundError as error:
        raise ConfigError(
            f"engine.python: there is no {quoted(str(program))} beside it to compile with",
            hint="inference_demo is a part of neuronx-distributed-inference",
        ) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"{program} cannot run: {error}") from error
    names = flags_in(done.stdout)
    if "--compiled-model-path" not in names:
        last_line = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ConfigError(f"{program} run --help prints no flags: {last_line}")
    return DemoFlags(names)
