"""llama.cpp's options for one replica: our defaults, then ``engine.args``, then what is planned.

An option is a dotted attribute of ``xllamacpp.CommonParams`` and its value as text, such as
``{"n_batch": "512", "sampling.temp": "0.2"}``. Only the program that has xllamacpp knows them
all and their types; here is their syntax, and which of them are replicore's to set. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from replicore.engines.engine import ReplicaPlan
from replicore.errors import ConfigError
from replicore.wording import quoted

Options = dict[str, str]

PROGRAM = Path(__file__).with_name("llamacpp_server.py")

# llama.cpp rounds a slot's context up to a multiple of this (GGML_PAD in llama-context.cpp)
CONTEXT_STEP = 256

# An open stream or an idle keep-alive connection holds one HTTP thread. The gateway opens
# batch_size streams; the rest is for probes and for clients that talk to the replica directly.
SPARE_HTTP_THREADS = 128

# LLAMA_MAX_SEQ and GGML_MAX_N_THREADS of llama.cpp
MAX_SLOTS = 256
MAX_THREADS = 512

# llama.cpp notices a client that left at the end of a step. 16 tokens take 0.13 s of one core, or
# 0.07 s of two, for a model of 135M parameters, so that a slot is free within 0.2 s; larger steps
# hold slots and the other streams far longer, for a tenth more tokens at best (docs/engines.md).
# A step is filled slot by slot, decoding ones first, so with 2 tokens per slot the last prompt
# starves: with 8 slots on 2 cores TTFT p99 was 6.5 to 9.6 s with steps of 16, and 2.0 to 2.4 s
# with 32.
STEP_PER_CORE = 8
STEP_PER_SLOT = 4
MIN_STEP = 16
MAX_STEP = 512

# Ours where llama.cpp's own would do harm; engine.args overrides them
DEFAULTS = {
    "fit_params": "false",  # would change the planned sizes, and costs 0.1 s of start
    "cache_ram_mib": "0",  # keeps up to 8 GiB of old prompts that nobody planned for
    "verbosity": "1",  # errors only: llama.cpp's warnings quote request bodies
    "endpoint_metrics": "true",
    "ui": "false",
    "cors_origins": "",  # no web page may talk to the loopback port
}

# What replicore decides, and the spec's key for it
OWNED = {
    "model.path": "model.source",
    "model.url": "model.source",
    "model.hf_repo": "model.source",
    "model.hf_file": "model.source",
    "model.docker_repo": "model.source",
    "model_alias": "model.served_name",
    "n_parallel": "layout.batch_size",
    "n_ctx": "layout.max_model_len",
    "kv_unified": "layout.max_model_len",
    "cpuparams.n_threads": "layout.tp",
    "cpuparams_batch.n_threads": "layout.tp",
    "cpuparams.cpumask": "layout.cores",
    "cpuparams.mask_valid": "layout.cores",
    "cpuparams_batch.cpumask": "layout.cores",
    "cpuparams_batch.mask_valid": "layout.cores",
    "n_gpu_layers": "engine.kind",
    "hostnames": "gateway.host",
    "port": "gateway.port",
    "reuse_port": "gateway.port",
    "api_prefix": "gateway.host",
    "api_keys": "gateway.api_keys_file",
    "ssl_file_key": "gateway.host",
    "ssl_file_cert": "gateway.host",
}


def parse_options(args: Sequence[str]) -> Options:
    """Parse ``--name value``, ``--name=value`` and ``--flag``; of a repeated one the last counts.

    Raises:
        ConfigError: A word is no option, or the option is replicore's own to set.
    """
    options: Options = {}
    words = list(args)
    while words:
        word = words.pop(0)
        if not word.startswith("--") or word == "--":
            raise ConfigError(
                f"engine.args: {quoted(word)} is not an option; write one as --n-batch 512"
            )
        name, equals, value = word.removeprefix("--").partition("=")
        if not equals:
            value = words.pop(0) if words and not words[0].startswith("--") else "true"
        options[_owned_by_user(name.replace("-", "_"))] = value
    return options


def _owned_by_user(name: str) -> str:
    key = OWNED.get(name.removeprefix("no_"))
    if key is not None:
        flag = "--" + name.replace("_", "-")
        raise ConfigError(f"engine.args: {flag} is set by replicore from {key}; use that key")
    return name


def replica_options(replica: ReplicaPlan, args: Sequence[str]) -> Options:
    """Return every option that is set for ``replica``.

    Raises:
        ConfigError: ``args`` has a word that is no option, or an option that is not the user's.
    """
    chosen = DEFAULTS | parse_options(args)
    return _sized_defaults(replica, chosen) | chosen | _planned(replica)


def _sized_defaults(replica: ReplicaPlan, chosen: Options) -> Options:
    step = default_step(
        chosen,
        tp=replica.tp,
        batch_size=replica.batch_size,
        max_model_len=replica.max_model_len,
    )
    return {
        "n_batch": str(step),
        "n_ubatch": chosen.get("n_batch", str(step)),
        "n_threads_http": str(replica.batch_size + SPARE_HTTP_THREADS),
    }


def default_step(
    options: Mapping[str, str], *, tp: int, batch_size: int, max_model_len: int
) -> int:
    """Return the tokens of one step: ``n_batch`` and ``n_ubatch``.

    The next tokens of all decoding slots are in it; at least three quarters are left for prompts.
    """
    if "embedding" in options:
        # llama.cpp refuses an input that does not fit into one step
        return context_per_slot(max_model_len)
    return max(min(STEP_PER_CORE * tp, MAX_STEP), MIN_STEP, STEP_PER_SLOT * batch_size)


def _planned(replica: ReplicaPlan) -> Options:
    threads = str(replica.tp)
    return {
        "model.path": str(replica.model.path),
        "model_alias": json.dumps([replica.model.served_name]),
        "hostnames": json.dumps([replica.host]),
        "port": str(replica.port),
        "reuse_port": "true",  # the supervisor keeps a socket bound to it, so that it stays ours
        "n_parallel": str(replica.batch_size),
        "n_ctx": str(replica.batch_size * context_per_slot(replica.max_model_len)),
        "cpuparams.n_threads": threads,
        "cpuparams_batch.n_threads": threads,
        "n_gpu_layers": "0",
    }


def context_per_slot(max_model_len: int) -> int:
    """Return the tokens that llama.cpp keeps per slot, at least ``max_model_len``."""
    return -(-max_model_len // CONTEXT_STEP) * CONTEXT_STEP


def assignments(options: Mapping[str, str]) -> tuple[str, ...]:
    """Return ``options`` as arguments of the program."""
    return tuple(f"{name}={value}" for name, value in options.items())


def integer(options: Mapping[str, str], name: str, default: int) -> int:
    """Return an option's value.

    Raises:
        ConfigError: It is no integer.
    """
    text = options.get(name, str(default))
    try:
        return int(text)
    except ValueError:
        flag = "--" + name.replace("_", "-")
        raise ConfigError(f"engine.args: {flag}: {quoted(text)} is not an integer") from None
