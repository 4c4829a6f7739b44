from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from replicore.deploy.deployment import Deployment
from replicore.errors import ConfigError
from replicore.render.file import RenderedFile
from replicore.render.kubernetes.objects import object_name
from replicore.render.kubernetes.render import render_group, render_statefulset
from replicore.render.service import SYSTEM_PATH
from tests.unit.render.rendering import INF2, SIM, VLLM_CPU, deployment_of, tutorial

LWS_SCHEMA = json.loads(Path(__file__).with_name("leaderworkerset.schema.json").read_text())
IMAGES = {"image": "example.com/engine:1", "gateway_image": "example.com/replicore:1"}

Object = dict[str, Any]

CASES: Mapping[str, tuple[str | None, Mapping[str, str]]] = {
    "trn2": ("llama70b-trn2.toml", {}),
    "trn2, native": ("llama70b-trn2.toml", {"engine.neuron.generation": "native"}),
    "trn2, TP1": ("llama8b-inf2.toml", {**INF2, "layout.tp": "2", "layout.batch_size": "1"}),
    "inf2": ("llama8b-inf2.toml", INF2),
    "vllm": (None, VLLM_CPU),
    "sim": (None, SIM),
    "llama.cpp": (None, {"layout.replicas": "1", "layout.tp": "1"}),
}


def objects(files: Sequence[RenderedFile]) -> list[Object]:
    return [found for file in files for found in yaml.safe_load_all(file.text)]


def statefulset(deployment: Deployment) -> list[Object]:
    return objects(render_statefulset(deployment, **IMAGES))


def group(deployment: Deployment) -> list[Object]:
    return objects(render_group(deployment, **IMAGES))


def of_kind(found: Sequence[Object], kind: str) -> Object:
    (match,) = (item for item in found if item["kind"] == kind)
    return match


def replica_spec(deployment: Deployment) -> Object:
    """Return the spec of a replica's pod."""
    spec: Object = of_kind(statefulset(deployment), "StatefulSet")["spec"]["template"]["spec"]
    return spec


def engine(deployment: Deployment) -> Object:
    container: Object = replica_spec(deployment)["containers"][0]
    return container


def variables(container: Object) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in container["env"]}


def as_pod(template: Object) -> Object:
    metadata = {"name": "pod", **template["metadata"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


@pytest.mark.parametrize(("example", "overrides"), CASES.values(), ids=CASES)
def test_manifests_are_valid(example: str | None, overrides: Mapping[str, str]) -> None:
    version = kubernetes_validate.latest_version()

    for found in statefulset(deployment_of(example, **overrides)):
        kubernetes_validate.validate(found, version, strict=True)


@pytest.mark.parametrize(("example", "overrides"), CASES.values(), ids=CASES)
def test_leader_worker_set_and_its_pods_are_valid(
    example: str | None, overrides: Mapping[str, str]
) -> None:
    found = of_kind(group(deployment_of(example, **overrides)), "LeaderWorkerSet")
    templates = found["spec"]["leaderWorkerTemplate"]
    version = kubernetes_validate.latest_version()

    jsonschema.validate(found, LWS_SCHEMA)
    for template in ("leaderTemplate", "workerTemplate"):
        kubernetes_validate.validate(as_pod(templates[template]), version, strict=True)


def test_replica_asks_for_whole_neuron_devices() -> None:
    limits = engine(tutorial())["resources"]["limits"]

    assert limits == {"aws.amazon.com/neuron": "8"}  # 32 cores of 4 each at LNC 2


def test_replica_of_less_than_a_device_asks_for_cores() -> None:
    deployment = deployment_of("llama8b-inf2.toml", **INF2, layout__tp="8")
    small = deployment_of(
        "llama70b-trn2.toml",
        **{
            "model.source": "/models/Llama-3.2-1B",
            "layout.tp": "2",
            "layout.max_model_len": "8448",
        },
    )

    assert engine(deployment)["resources"]["limits"] == {"aws.amazon.com/neuron": "4"}
    assert engine(small)["resources"]["limits"] == {"aws.amazon.com/neuroncore": "2"}


def test_cpu_replica_asks_for_as_much_as_it_may_have() -> None:
    resources = engine(deployment_of(None, **VLLM_CPU))["resources"]

    assert resources["requests"] == resources["limits"]
    assert resources["limits"]["cpu"] == "1"


def test_core_numbers_and_paths_are_the_pods_own() -> None:
    container = engine(tutorial())

    assert variables(container)["NEURON_RT_VISIBLE_CORES"] == "0-31"
    assert "/models/Llama-3.3-70B-Instruct" in container["command"]


def test_cpus_of_the_host_are_not_named_in_a_pod() -> None:
    assert "VLLM_CPU_OMP_THREADS_BIND" not in variables(engine(deployment_of(None, **VLLM_CPU)))


def test_slow_start_is_not_taken_for_a_failure() -> None:
    container = engine(tutorial(supervisor__start_timeout="45m"))
    startup = container["startupProbe"]

    assert startup["periodSeconds"] * startup["failureThreshold"] == 45 * 60
    assert startup["httpGet"] == container["readinessProbe"]["httpGet"]


def test_replica_may_take_its_grace_to_end() -> None:
    spec = replica_spec(tutorial(supervisor__stop_grace="30s"))

    assert spec["terminationGracePeriodSeconds"] > 30


def test_services_of_the_namespace_set_no_variables() -> None:
    assert replica_spec(tutorial())["enableServiceLinks"] is False


def test_replicas_that_load_one_by_one_are_started_in_order() -> None:
    together = of_kind(statefulset(tutorial()), "StatefulSet")
    in_turn = of_kind(statefulset(tutorial(supervisor__starts_together="1")), "StatefulSet")

    assert together["spec"]["podManagementPolicy"] == "Parallel"
    assert in_turn["spec"]["podManagementPolicy"] == "OrderedReady"


def test_front_door_knows_every_replica_by_its_name() -> None:
    command = of_kind(statefulset(tutorial()), "Deployment")["spec"]["template"]["spec"][
        "containers"
    ][0]["command"]
    urls = [word for word in command if word.startswith("http://")]

    assert urls == [f"http://llama70b-replica-{i}.llama70b-replica:8000" for i in (0, 1)]


def test_leader_finds_the_workers_of_its_own_group() -> None:
    found = of_kind(group(tutorial()), "LeaderWorkerSet")["spec"]["leaderWorkerTemplate"]
    container = found["leaderTemplate"]["spec"]["containers"][0]

    assert found["size"] == 3
    assert "http://$(POD)-1.llama70b:8000" in container["command"]
    assert container["env"][0]["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}


def test_no_service_has_the_name_of_the_one_that_a_leader_worker_set_makes() -> None:
    found = group(tutorial())

    assert of_kind(found, "Service")["metadata"]["name"] != "llama70b"


def test_only_the_front_door_reaches_replicas() -> None:
    policy = of_kind(statefulset(tutorial()), "NetworkPolicy")["spec"]
    door = of_kind(statefulset(tutorial()), "Deployment")["spec"]["template"]["metadata"]["labels"]

    assert policy["ingress"][0]["from"] == [{"podSelector": {"matchLabels": door}}]


def test_one_replica_alone_has_no_disruption_budget() -> None:
    kinds = [found["kind"] for found in statefulset(deployment_of(None, **VLLM_CPU))]

    assert "PodDisruptionBudget" not in kinds


def test_api_keys_come_from_a_secret(tmp_path: Path) -> None:
    keys = tmp_path / "keys.txt"
    keys.touch()
    found = statefulset(deployment_of(None, **SIM, gateway__api_keys_file=str(keys)))
    spec = of_kind(found, "Deployment")["spec"]["template"]["spec"]

    assert spec["volumes"] == [{"name": "keys", "secret": {"secretName": "sim-keys"}}]
    assert "--insecure" not in spec["containers"][0]["command"]


def test_model_of_the_hub_is_downloaded_by_a_job() -> None:
    found = of_kind(statefulset(deployment_of("llama70b-trn2.toml")), "Job")
    container = found["spec"]["template"]["spec"]["containers"][0]

    assert {"name": "REPOSITORY", "value": "meta-llama/Llama-3.3-70B-Instruct"} in container["env"]


def test_dollar_of_an_argument_is_no_variable_of_kubernetes() -> None:
    deployment = deployment_of(None, **SIM, **{"model.served_name": "$(HOME)"})

    assert "--model=$$(HOME)" in engine(deployment)["command"]


def test_dollar_of_a_setting_of_the_front_door_is_no_variable_of_kubernetes() -> None:
    deployment = deployment_of(None, **SIM, gateway__otlp_endpoint="http://collector/$(POD)")
    door = of_kind(statefulset(deployment), "Deployment")["spec"]["template"]["spec"]

    assert "gateway.otlp_endpoint=http://collector/$$(POD)" in door["containers"][0]["command"]


def test_replicas_that_share_a_device_are_refused() -> None:
    deployment = deployment_of(None, **SIM)
    sharing = replace(deployment, machine=replace(deployment.machine, sharing=2))

    with pytest.raises(ConfigError, match="replicas_per_device: 2 replicas share a device"):
        statefulset(sharing)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.b_c", "a-b-c"),
        ("a.", "a"),
        ("70b", "replicore-70b"),
        ("7" * 63, f"replicore-{'7' * 34}"),
    ],
)
def test_name_of_an_object_is_a_label_of_dns_that_begins_with_a_letter(
    name: str, expected: str
) -> None:
    assert object_name(name) == expected


def test_labels_that_kubernetes_makes_of_long_names_fit() -> None:
    name = object_name("x" * 63)

    assert len(f"{name}-replica-0123456789") <= 63  # of a StatefulSet's pods: its revision
    assert len(f"{name}-fetch-model") <= 63  # of a Job's pods: the Job


def test_search_path_of_whoever_renders_is_not_that_of_a_pod(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/home/me/bin:/usr/bin")
    own = variables(engine(deployment_of(None, **VLLM_CPU)))

    assert own["PATH"] == f"/opt/vllm/bin:{SYSTEM_PATH}"


def compile_step(deployment: Deployment, folder: Path, *, compiler: str) -> list[str]:
    """Return what the compile's container runs, with its folders below ``folder``."""
    step = replica_spec(deployment)["initContainers"][1]
    shell, flags, script, name, *_ = step["command"]
    env = {**variables(step), "ARTEFACT": f"{folder}/artefact", "WORK": f"{folder}/work"}
    assignments = [f"{key}={value}" for key, value in env.items()]
    return ["env", *assignments, shell, flags, script, name, "/bin/sh", "-ec", compiler]


def test_pods_compile_once_and_the_model_appears_whole(tmp_path: Path) -> None:
    write_all = 'mkdir "$ARTEFACT.partial/weights"; cd "$ARTEFACT.partial"; '
    write_all += 'for file in $OUTPUTS; do echo x >"$file"; done; echo x >>"$ARTEFACT.count"'
    argv = compile_step(tutorial(), tmp_path, compiler=write_all)
    for _ in range(2):
        subprocess.run(argv, check=True)

    assert (tmp_path / "artefact" / "model.pt").exists()
    assert (tmp_path / "artefact.count").read_text() == "x\n"


def test_pod_whose_compile_lacks_a_file_fails(tmp_path: Path) -> None:
    write_one = 'echo x >"$ARTEFACT.partial/neuron_config.json"'
    done = subprocess.run(compile_step(tutorial(), tmp_path, compiler=write_one))

    assert done.returncode != 0
    assert not (tmp_path / "artefact").exists()
