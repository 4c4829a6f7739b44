"""``engine.args`` of a vLLM replica: their syntax, and which of vLLM's options are not the user's.

Which options there are at all differs by version, so that is asked of the installed one
(``help_text.py``). Pure.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from replicore.errors import ConfigError
from replicore.wording import nearest, quoted

# "--max-num-seqs", "-tp"; but "-1" is a value, and so is "-" alone
_OPTION = re.compile(r"--?[A-Za-z]")
# "-cc.mode" and "-O3" carry a part of their value in the word
_SHORT = re.compile(r"-(?:O|[a-z]+)")

# What replicore decides, and the spec's key for it
OWNED: Mapping[str, str] = MappingProxyType(
    {
        "--model": "model.source",
        "--revision": "model.revision",
        "--served-model-name": "model.served_name",
        "--tensor-parallel-size": "layout.tp",
        "-tp": "layout.tp",
        "--pipeline-parallel-size": "layout.tp",
        "-pp": "layout.tp",
        "--data-parallel-size": "layout.replicas",
        "-dp": "layout.replicas",
        "--max-num-seqs": "layout.batch_size",
        "--max-model-len": "layout.max_model_len",
        "--device-ids": "layout.cores",
        "--device": "engine.vllm.device",
        "--dtype": "engine.vllm.dtype",
        "--gpu-memory-utilization": "engine.vllm.memory_fraction",
        "--device-memory-utilization": "engine.vllm.memory_fraction",
        "--host": "gateway.host",
        "--port": "gateway.port",
        "--uds": "gateway.port",
        "--grpc": "gateway.port",
        "--root-path": "gateway.host",
        "--api-key": "gateway.api_keys_file",
        "--ssl-keyfile": "gateway.tls_key",
        "--ssl-certfile": "gateway.tls_cert",
    }
)

# Options of a server that is spread over machines, or over processes that replicore starts itself
_MANY_MACHINES = frozenset(
    {
        "--api-server-count",
        "-asc",
        "--distributed-executor-backend",
        "--headless",
        "--master-addr",
        "--master-port",
        "--nnodes",
        "-n",
        "--node-rank",
        "-r",
    }
)


def parse_options(args: Sequence[str]) -> dict[str, str]:
    """Return each option's name, as vLLM's help writes it, and the last value given to it.

    ``--max_num_seqs=8`` is ``--max-num-seqs``, ``--hf-overrides.rope.factor 2`` is
    ``--hf-overrides``; an option without a value has ``true``.

    Raises:
        ConfigError: The first word is no option, or an option is replicore's own to set.
    """
    options: dict[str, str] = {}
    name = ""
    for word in args:
        if _OPTION.match(word):
            name, value = _split(word)
            options[_owned_by_user(name)] = value
        elif not name:
            raise ConfigError(
                f"engine.args: {quoted(word)} is not an option; write one as --kv-cache-dtype fp8"
            )
        elif options[name] == "true":
            options[name] = word
    return options


def _split(word: str) -> tuple[str, str]:
    """Return an option's name and its value, ``true`` where none is in the word."""
    text, equals, value = word.partition("=")
    short = None if text.startswith("--") else _SHORT.match(text)
    name = short[0] if short else text.partition(".")[0].rstrip("+").replace("_", "-")
    return name, value if equals else "true"


def _owned_by_user(name: str) -> str:
    key = OWNED.get(name)
    if key is not None:
        raise ConfigError(f"engine.args: {name} is set by replicore from {key}; use that key")
    if name in _MANY_MACHINES or name.startswith(("--data-parallel-", "-dp")):
        raise ConfigError(
            f"engine.args: {name} is for servers of several machines or processes; a replica is "
            "one server on one machine, layout.replicas and layout.tp say how many and how large"
        )
    return name


def check_known(options: Collection[str], known: Collection[str], version: str) -> None:
    """Compare with the options that a version of vLLM has.

    Raises:
        ConfigError: It does not have one of them; the message has the nearest.
    """
    for name in options:
        if name not in known:
            meant = nearest(name, known)
            hint = f"; did you mean {meant}?" if meant else ""
            raise ConfigError(f"engine.args: {name} is not an option of vLLM {version}{hint}")


def is_eager(options: Mapping[str, str]) -> bool:
    """Whether nothing is compiled; of the two flags the last one counts, as it does for vLLM."""
    flags = [name for name in options if name in ("--enforce-eager", "--no-enforce-eager")]
    return flags[-1:] == ["--enforce-eager"]


def has_prefix_cache(options: Mapping[str, str]) -> bool:
    return "--no-enable-prefix-caching" not in options
