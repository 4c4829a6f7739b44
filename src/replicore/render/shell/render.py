"""Shell scripts for one machine: compile, serve, put a front door before it, measure."""

from __future__ import annotations

from importlib.resources import files

from replicore.deploy.deployment import Deployment
from replicore.render.file import RenderedFile
from replicore.render.service import Service, plan_service
from replicore.render.shell.commands import commands_text
from replicore.render.shell.paths import ROOT
from replicore.render.shell.settings import settings_text


def render_shell(deployment: Deployment) -> tuple[RenderedFile, ...]:
    """Return the scripts, in the order in which they are run, and what they share.

    Raises:
        ConfigError: The deployment cannot be rendered, or its engine cannot be asked.
    """
    service = plan_service(deployment, folder=ROOT)
    return (
        RenderedFile(name="settings.sh", text=settings_text(service)),
        RenderedFile(name="functions.sh", text=_static("functions.sh")),
        RenderedFile(name="commands.sh", text=commands_text(service)),
        *_fetch(service),
        *_compile(service),
        _script("serve.sh"),
        _script("gateway.sh"),
        _script("bench.sh"),
    )


def _fetch(service: Service) -> list[RenderedFile]:
    return [] if service.hub_model is None else [_script("fetch_model.sh")]


def _compile(service: Service) -> list[RenderedFile]:
    recipe = service.recipe
    if recipe is None:
        return []
    source = "warm.sh" if recipe.command is None else "compile.sh"
    return [RenderedFile(name="compile.sh", text=_static(source), is_script=True)]


def _script(name: str) -> RenderedFile:
    return RenderedFile(name=name, text=_static(name), is_script=True)


def _static(name: str) -> str:
    return files("replicore.render.shell").joinpath("scripts", name).read_text(encoding="utf-8")
