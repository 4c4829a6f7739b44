"""``settings.sh``: every number and path that the scripts share, once."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable

from replicore.render.service import Service, gateway_settings
from replicore.render.shell.paths import ROOT, paths_of
from replicore.render.shell.text import comment, folded
from replicore.render.words import cut, shell_word

_CHANGED_BY = (
    "What the scripts have in common, once. Core ranges, compiled model and benchmark follow from "
    "the same numbers, so change the spec and render again."
)
_LOCAL = (
    "Paths of this machine. local.sh, beside this file, is yours: what it sets (ROOT, MODEL, BIN, "
    "REPLICORE) goes before what is here. The environment does not, for an empty MODEL there would "
    "be another model served."
)

_LONGEST_WITH_SOCKETS = 64
_LONGEST_PATH = 4000


def settings_text(service: Service) -> str:
    """Return the file's text."""
    head = [
        "# shellcheck shell=bash",
        "# shellcheck disable=SC2034 # read by the scripts",
        *comment(_CHANGED_BY),
        *comment(f"Rendered by replicore from the spec of {service.name}."),
        *comment(f"Layout: {service.deployment.layout.reason}."),
    ]
    blocks = [head, _numbers(service), _supervision(service), _workload(service), _paths(service)]
    return "\n".join("\n".join(block) + "\n" for block in blocks)


def _numbers(service: Service) -> list[str]:
    layout = service.deployment.layout
    served_name = service.deployment.model.served_name
    return [
        f"REPLICAS=({' '.join(plan.name for plan in service.replicas)})",
        f"SERVED_NAME={_quoted(served_name)}",
        f"SERVED_NAME_JSON={_quoted(json.dumps(served_name, ensure_ascii=False))}",
        f"BATCH_SIZE={layout.batch_size} # sequences that one replica works on at the same time",
        f"GATEWAY_PORT={service.gateway_port}",
        f"GATEWAY_ARGS=({_words(gateway_settings(service.deployment.spec.gateway))})",
    ]


def _supervision(service: Service) -> list[str]:
    rules = service.deployment.spec.supervisor
    return [
        "# Seconds, and how often a replica may fail",
        f"START_TIMEOUT={math.ceil(rules.start_timeout)}",
        f"STOP_GRACE={math.ceil(rules.stop_grace)}",
        f"BACKOFF_INITIAL={math.ceil(rules.backoff_initial)}",
        f"BACKOFF_MAX={math.ceil(rules.backoff_max)}",
        f"FAILURE_WINDOW={math.ceil(rules.failure_window)}",
        f"MAX_FAILURES={rules.max_failures}",
        f"PROBE_INTERVAL={rules.probe_interval:g}",
        f"STARTS_TOGETHER={service.starts_together}",
        *_compile_rules(service),
    ]


def _compile_rules(service: Service) -> list[str]:
    recipe = service.recipe
    if recipe is None or recipe.command is None:
        return ["IS_COMPILED=0"]
    return [
        f"IS_COMPILED={int(recipe.required)} # whether replicas need what compile.sh makes",
        f"COMPILE_TIMEOUT={math.ceil(recipe.timeout_s)}",
        f"OUTPUTS=({' '.join(folded(recipe.outputs))})",
        f"FLAKY=({_words(recipe.flaky)})",
    ]


def _workload(service: Service) -> list[str]:
    workload = service.deployment.spec.workload
    lengths = {"INPUT": workload.input_tokens, "OUTPUT": workload.output_tokens}
    return [
        "# What bench.sh sends",
        *(
            line
            for name, drawn in lengths.items()
            for line in (
                f"{name}_TOKENS_MEAN={drawn.mean}",
                f"{name}_TOKENS_STDDEV={drawn.stddev}",
            )
        ),
        f"REQUESTS={workload.requests}",
        f"CONCURRENCY={service.concurrency} # at the same time, over all replicas",
    ]


def _paths(service: Service) -> list[str]:
    values = paths_of(service)
    lines = [
        *comment(_LOCAL),
        "unset ROOT MODEL BIN REPLICORE",
        "# shellcheck source=/dev/null",
        'if [[ -f $HERE/local.sh ]]; then source "$HERE/local.sh"; fi',
        "ROOT=${ROOT:-$HERE}",
        f"MODEL=${{MODEL:-{_quoted(values['MODEL'])}}}",
    ]
    if "BIN" in values:
        lines.append(
            f"BIN=${{BIN:-{_quoted(values['BIN'])}}} # programs of the engine's environment"
        )
    if service.hub_model is not None:
        repository, revision = service.hub_model
        lines += [f"HUB_REPOSITORY={_quoted(repository)}", f"HUB_REVISION={_quoted(revision)}"]
    lines += ["REPLICORE=${REPLICORE:-replicore}", "LOGS=$ROOT/logs", "RUN=$ROOT/run"]
    lines.append(f"LONGEST_RUN={_longest_run(service)} # characters")
    if service.artefact is not None:
        artefact = shell_word(cut((str(service.artefact),), {"ROOT": str(ROOT)}))
        lines.append(f"ARTEFACT={artefact}")
    return lines


def _longest_run(service: Service) -> int:
    """Return how long the path may be: an engine's sockets below it have names of 108 bytes."""
    makes_sockets = "TMPDIR" in service.commands()[0].env
    return _LONGEST_WITH_SOCKETS if makes_sockets else _LONGEST_PATH


def _quoted(text: str) -> str:
    return shell_word((text,))


def _words(texts: Iterable[str]) -> str:
    return " ".join(_quoted(text) for text in texts)
