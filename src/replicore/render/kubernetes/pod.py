"""The pod of one replica: its engine, and what waits or compiles before it."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path

import replicore
from replicore.engines.command import Command
from replicore.engines.recipe import Recipe
from replicore.models.outline import MODELS
from replicore.render.kubernetes.devices import placement, resources
from replicore.render.kubernetes.objects import PORT, Object, environment, literal, selector
from replicore.render.kubernetes.settings import ARTEFACTS, RUN, Cluster
from replicore.render.service import command_of

# Name devices or CPUs of the host. In a pod the device plugin, or the kubelet, decides on them.
_OF_THE_HOST = frozenset({"CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "VLLM_CPU_OMP_THREADS_BIND"})

_PROBE_PERIOD_S = 10
_SHARED_MEMORY = "8Gi"
_PACKAGE = Path(replicore.__file__).parent

# Whoever comes first compiles; the others wait for the lock and find it done. The folder appears
# under its name when it is whole.
_COMPILE = """\
exec 9>"$ARTEFACT.lock"; flock 9
if [ -d "$ARTEFACT" ]; then exit 0; fi
rm -rf "$ARTEFACT.partial" "$WORK"; mkdir -p "$ARTEFACT.partial" "$WORK"
timeout "$COMPILE_TIMEOUT" "$@"
cd "$ARTEFACT.partial"; for file in $OUTPUTS; do test -s "$file"; done
mv -T "$ARTEFACT.partial" "$ARTEFACT"
"""
_WAIT = 'until [ -e "$MODEL" ]; do echo "waiting for $MODEL"; sleep 10; done'


def replica_pod(cluster: Cluster) -> Object:
    """Return the template of a replica's pod."""
    return {
        "metadata": {"labels": selector(cluster.name, "replica")},
        "spec": {
            # The variables that links make of Services have names such as VLLM_PORT.
            "enableServiceLinks": False,
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": _grace(cluster),
            **placement(cluster),
            "initContainers": _before(cluster),
            "containers": [_engine(cluster)],
            "volumes": _volumes(cluster),
        },
    }


def in_image(command: Command) -> Sequence[str]:
    """Return a command's words as they are in an image.

    The interpreter that runs replicore here is python3 there, and its files are modules.
    """
    first, *others = command.argv
    words = ["python3" if first == sys.executable else first]
    for word in others:
        words += _module(Path(word)) if word.endswith(".py") else [word]
    return [literal(word) for word in words]


def _module(file: Path) -> list[str]:
    if not file.is_relative_to(_PACKAGE):
        return [str(file)]
    parts = file.relative_to(_PACKAGE.parent).with_suffix("").parts
    return ["-m", ".".join(parts)]


def _engine(cluster: Cluster) -> Object:
    command = command_of(cluster.deployment, cluster.replica)
    variables = {name: text for name, text in command.env.items() if name not in _OF_THE_HOST}
    health = {"httpGet": {"path": "/health", "port": "http"}, "timeoutSeconds": 10}
    start_timeout = cluster.deployment.spec.supervisor.start_timeout
    return {
        "name": "engine",
        "image": cluster.image,
        "command": list(in_image(command)),
        "env": environment(variables),
        "ports": [{"name": "http", "containerPort": PORT}],
        "resources": resources(cluster),
        # Until it serves, only this probe runs: loading takes minutes, and is not to be killed.
        "startupProbe": {
            **health,
            "periodSeconds": _PROBE_PERIOD_S,
            "failureThreshold": math.ceil(start_timeout / _PROBE_PERIOD_S),
        },
        "readinessProbe": {**health, "periodSeconds": 5, "failureThreshold": 3},
        # A long prefill may hold up /health; what hangs for two minutes does not come back.
        "livenessProbe": {**health, "periodSeconds": 20, "failureThreshold": 6},
        "securityContext": {"allowPrivilegeEscalation": False},
        "volumeMounts": _mounts(cluster),
    }


def _before(cluster: Cluster) -> list[Object]:
    """Return what runs before the engine: the wait for the model, and the compile."""
    model = {"MODEL": str(cluster.replica.model.path)}
    wait = _step(cluster, "wait-for-model", ["/bin/sh", "-c", _WAIT], model)
    recipe = cluster.recipe
    if cluster.deployment.engine.simulated:
        return []
    return [wait] if recipe is None or recipe.command is None else [wait, _compile(cluster, recipe)]


def _compile(cluster: Cluster, recipe: Recipe) -> Object:
    artefact, work = cluster.replica.artefact, RUN / "compile"
    if artefact is None or recipe.command is None:
        raise ValueError("there is nothing to compile")
    command = recipe.command(artefact.with_name(f"{artefact.name}.partial"), work)
    variables = {
        **command.env,
        "ARTEFACT": str(artefact),
        "WORK": str(work),
        "OUTPUTS": " ".join(recipe.outputs),
        "COMPILE_TIMEOUT": str(math.ceil(recipe.timeout_s)),
    }
    argv = ["/bin/sh", "-ec", literal(_COMPILE), "compile", *in_image(command)]
    step = _step(cluster, "compile", argv, variables)
    return {**step, "resources": resources(cluster)}


def _step(cluster: Cluster, name: str, argv: Sequence[str], variables: dict[str, str]) -> Object:
    return {
        "name": name,
        "image": cluster.image,
        "command": list(argv),
        "env": environment(variables),
        "securityContext": {"allowPrivilegeEscalation": False},
        "volumeMounts": _mounts(cluster),
    }


def _mounts(cluster: Cluster) -> list[Object]:
    mounts: list[Object] = [
        {"name": "run", "mountPath": str(RUN)},
        {"name": "shm", "mountPath": "/dev/shm"},
    ]
    if not cluster.deployment.engine.simulated:
        mounts.append({"name": "models", "mountPath": str(MODELS), "readOnly": True})
    if cluster.recipe is not None:
        mounts.append({"name": "artefacts", "mountPath": str(ARTEFACTS)})
    return mounts


def _volumes(cluster: Cluster) -> list[Object]:
    volumes: list[Object] = [
        {"name": "run", "emptyDir": {}},
        # A container has 64 MiB by default; ranks hand each other tensors through it.
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": _SHARED_MEMORY}},
    ]
    if not cluster.deployment.engine.simulated:
        volumes.append(_claimed("models", cluster.models_claim))
    if cluster.recipe is not None:
        volumes.append(_claimed("artefacts", cluster.artefacts_claim))
    return volumes


def _claimed(name: str, claim: str) -> Object:
    return {"name": name, "persistentVolumeClaim": {"claimName": claim}}


def _grace(cluster: Cluster) -> int:
    """Seconds until SIGKILL: what the engine may take to end, and some for the kubelet."""
    return math.ceil(cluster.deployment.spec.supervisor.stop_grace) + 10
