"""Compiles the gateway's data path with mypyc, where that is asked for; see pyproject.toml.

Not with hatch-mypyc: that leaves extension modules next to the sources, where they would hide every
later change to them. Here all is done in a temporary folder.
"""

from __future__ import annotations

import shutil
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from mypyc.build import mypycify
from setuptools import Distribution

# The extension module that has the code of all others: what they call of each other needs no
# look-up. It is at the top level, where mypyc expects it when it works out each ``__file__``.
_LIBRARY = "replicore_compiled"


class DataPathHook(BuildHookInterface[Any]):
    """Adds extension modules to a wheel, each beside the Python module that it replaces."""

    _folder: TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        self._folder = TemporaryDirectory()
        folder = Path(self._folder.name)
        shutil.copytree(Path(self.root, "src", "replicore"), folder / "replicore")
        built = folder / "built"
        compile_modules(folder, self.config["modules"], built)
        for extension in built.rglob("*.so"):
            build_data["force_include"][str(extension)] = str(extension.relative_to(built))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if self._folder is not None:
            self._folder.cleanup()


def compile_modules(sources: Path, modules: list[str], built: Path) -> None:
    """Compile modules of the packages in ``sources`` into extension modules below ``built``."""
    with chdir(sources):
        files = [module.replace(".", "/") + ".py" for module in modules]
        extensions = mypycify(
            ["--ignore-missing-imports", *files],
            opt_level="2",
            debug_level="0",
            group_name=_LIBRARY,
        )
        command = Distribution({"ext_modules": extensions}).get_command_obj("build_ext")
        command.build_lib = str(built)
        command.ensure_finalized()
        command.run()
