"""Rendered deployments for tests. Run as a module, it writes the golden files anew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from replicore.deploy.deployment import Deployment, lay_out, prepare
from replicore.render.file import RenderedFile
from replicore.render.shell.render import render_shell
from replicore.spec import load_spec

EXAMPLES = Path(__file__).parents[3] / "examples"
GOLDEN = Path(__file__).with_name("golden")

# Where the tutorial has the model
MODEL = "/ubuntu/model_hf/Llama-3.3-70B-Instruct"

TUTORIAL = {"model.source": MODEL}
INF2 = {"model.source": "/models/Llama-3.1-8B-Instruct"}
VLLM_CPU = {
    "name": "vllm",
    "model.source": "/models/Llama-3.2-1B-Instruct",
    "engine.kind": "vllm",
    "engine.python": "/opt/vllm/bin/python",
    "engine.vllm.device": "cpu",
    "layout.replicas": "1",
    "layout.tp": "1",
}
SIM = {
    "name": "sim",
    "engine.kind": "sim",
    "engine.python": "/opt/replicore/bin/python",
    "engine.sim.cores": "8",
    "layout.replicas": "3",
    "layout.tp": "2",
}


def deployment_of(example: str | None, **overrides: str) -> Deployment:
    """Return a deployment as ``render`` plans it; overrides have ``__`` for the dot."""
    path = None if example is None else EXAMPLES / example
    keys = {key.replace("__", "."): value for key, value in overrides.items()}
    return lay_out(prepare(load_spec(path, environ={}, overrides=keys), outline=True))


def tutorial(**overrides: str) -> Deployment:
    return deployment_of("llama70b-trn2.toml", **TUTORIAL, **overrides)


def text_of(files: Sequence[RenderedFile], name: str) -> str:
    return next(file.text for file in files if file.name == name)


def write(files: Sequence[RenderedFile], folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        (folder / file.name).write_text(file.text)
        (folder / file.name).chmod(0o755 if file.is_script else 0o644)
    return folder


def generated(files: Sequence[RenderedFile]) -> list[RenderedFile]:
    """Return the files that are not the same for every deployment."""
    return [file for file in files if file.name in ("settings.sh", "commands.sh")]


if __name__ == "__main__":
    write(generated(render_shell(tutorial())), GOLDEN / "llama70b-trn2")
