"""``replicore render``: a deployment as files that run without replicore."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from replicore import __version__
from replicore.cli.findings import heed
from replicore.cli.settings import Set, settings_given
from replicore.deploy.deployment import Deployment, lay_out, prepare
from replicore.errors import ConfigError
from replicore.files import write_atomically
from replicore.render.file import RenderedFile
from replicore.render.kubernetes.render import render_group, render_statefulset
from replicore.render.shell.render import render_shell
from replicore.render.systemd.render import render_systemd
from replicore.spec import load_spec

# Its own interpreter is all that they need, so they come with replicore's image.
_IN_OUR_IMAGE = ("sim", "llamacpp")


class Format(StrEnum):
    SHELL = "shell"
    SYSTEMD = "systemd"
    K8S = "k8s"
    LWS = "lws"


_ON_A_MACHINE = (Format.SHELL, Format.SYSTEMD)

SpecPath = Annotated[Path | None, typer.Argument(metavar="SPEC", help="Spec file.")]
FormatOption = Annotated[
    Format,
    typer.Option("--format", help="lws is a LeaderWorkerSet, k8s needs no controller of its own."),
]
Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="DIR", help="Write files there, not to stdout."),
]
Image = Annotated[
    str | None, typer.Option(help="Container image with engine.python, for k8s and lws.")
]
GatewayImage = Annotated[str, typer.Option(help="Container image with replicore.")]


def render(
    spec: SpecPath = None,
    format_: FormatOption = Format.SHELL,
    output: Output = None,
    image: Image = None,
    gateway_image: GatewayImage = f"replicore:{__version__}",
    set_: Set = None,
) -> None:
    """Print scripts, units or manifests that start what `replicore up` would.

    Nothing is downloaded, and the machine may be another one: the model's sizes are enough, and
    engine.neuron.instance names the machine.
    """
    loaded = load_spec(spec, environ=os.environ, overrides=settings_given(set_ or []))
    deployment = lay_out(prepare(loaded, outline=True))
    heed(deployment)
    files = _render(deployment, format_, image=image, gateway_image=gateway_image)
    _explain(deployment)
    if format_ in _ON_A_MACHINE and loaded.engine.python is None:
        typer.echo(f"python: {sys.executable}; for another machine set engine.python", err=True)
    if output is None:
        _print(files, separated=format_ in _ON_A_MACHINE)
    else:
        _write(files, output)


def _render(
    deployment: Deployment, format_: Format, *, image: str | None, gateway_image: str
) -> Sequence[RenderedFile]:
    if format_ is Format.SHELL:
        return render_shell(deployment)
    if format_ is Format.SYSTEMD:
        return render_systemd(deployment)
    rendered = render_group if format_ is Format.LWS else render_statefulset
    if image is None and deployment.engine.kind not in _IN_OUR_IMAGE:
        raise ConfigError(
            f"--image is needed for --format {format_}: pods start from an image that has the "
            "engine's environment",
            hint="--image REGISTRY/NAME:TAG; docs/render.md says what must be in it",
        )
    return rendered(deployment, image=image or gateway_image, gateway_image=gateway_image)


def _explain(deployment: Deployment) -> None:
    typer.echo(f"layout: {deployment.layout.reason}", err=True)
    if deployment.model.sizes_from is not None:
        typer.echo(f"model: sizes from {deployment.model.sizes_from}", err=True)
    if deployment.machine.note:
        typer.echo(f"machine: {deployment.machine.note}", err=True)


def _print(files: Sequence[RenderedFile], *, separated: bool) -> None:
    for file in files:
        if separated:
            typer.echo(f"# ==> {file.name} <==")
        typer.echo(file.text, nl=separated)


def _write(files: Sequence[RenderedFile], folder: Path) -> None:
    path = folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            path = folder / file.name
            write_atomically(path, file.text.encode())
            path.chmod(0o755 if file.is_script else 0o644)
    except OSError as error:
        raise ConfigError(
            f"--output: {path} cannot be written ({error.strerror}); give another folder"
        ) from error
    typer.echo(f"wrote {', '.join(file.name for file in files)} to {folder}", err=True)
