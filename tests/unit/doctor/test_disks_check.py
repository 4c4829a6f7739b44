"""What is said of disks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from replicore.doctor.case import Case
from replicore.doctor.disks import check_disks, hub_cache
from tests.unit.doctor.cases import GIB, case, laid_out, only, place, problems, space


def test_free_disks_are_told_once_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space(monkeypatch, size=100 * GIB, free=50 * GIB)
    finding = only(check_disks(place(tmp_path, environ={"HF_HOME": str(tmp_path)}), case()), "disk")

    assert finding.message == "50.0 GiB are free for state, cache, Hugging Face cache"


def test_a_full_disk_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space(monkeypatch, size=100 * GIB, free=GIB)
    finding = only(check_disks(place(tmp_path, environ={"HF_HOME": str(tmp_path)}), case()), "disk")

    assert finding.level == "warning"


@pytest.mark.parametrize(
    ("kind", "expected"), [("nfs4", "is on nfs4, where locks"), ("tmpfs", "models are kept on")]
)
def test_a_disk_of_the_wrong_kind_is_a_warning(tmp_path: Path, kind: str, expected: str) -> None:
    mount = f"30 23 0:26 / {tmp_path.resolve()} rw - {kind} server:/home rw\n"
    here = place(tmp_path, {"proc/self/mountinfo": mount}, environ={"HF_HOME": str(tmp_path)})

    assert any(expected in finding.message for finding in problems(check_disks(here, case())))


def test_a_model_that_does_not_fit_on_the_disk_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space(monkeypatch, size=100 * GIB, free=10 * GIB)
    here = place(tmp_path, environ={"HF_HOME": str(tmp_path)})
    (finding,) = problems(check_disks(here, outlined(laid_out("cuda", {"engine.kind": "vllm"}))))

    assert "to download org/llama takes 16.0 GiB" in finding.message


def test_sharded_weights_that_do_not_fit_on_the_disk_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space(monkeypatch, size=100 * GIB, free=10 * GIB)
    keys = {"engine.kind": "neuron", "engine.neuron.artefacts": str(tmp_path)}
    (finding,) = problems(
        check_disks(place(tmp_path, environ={"HF_HOME": str(tmp_path)}), laid_out("neuron", keys))
    )

    assert "to compile, with sharded weights takes 16.0 GiB" in finding.message


def outlined(subject: Case) -> Case:
    """Return the case with a model that is not on this machine."""
    assert subject.deployment is not None
    model = replace(subject.deployment.model, sizes_from="the hub")
    return replace(subject, deployment=replace(subject.deployment, model=model))


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HF_HUB_CACHE": "/a"}, "/a"),
        ({"HF_HOME": "/b"}, "/b/hub"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/huggingface/hub"),
    ],
)
def test_the_hubs_cache_is_where_its_library_has_it(environ: dict[str, str], expected: str) -> None:
    assert hub_cache(environ) == Path(expected)
