"""The modules that the optional build compiles have nothing in them that mypyc does otherwise."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HOOK = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]


def parse(module: str) -> ast.Module:
    path = (ROOT / "src").joinpath(*module.split(".")).with_suffix(".py")
    return ast.parse(path.read_text(encoding="utf-8"))


def handlers(tree: ast.Module) -> list[ast.AST]:
    """Return all that runs while an exception may be handled."""
    tries = [node for node in ast.walk(tree) if isinstance(node, ast.Try)]
    return [part for one in tries for part in (*one.handlers, *one.finalbody)]


@pytest.mark.parametrize("module", HOOK["modules"])
def test_compiled_module_defines_no_struct(module: str) -> None:
    bases = [
        ast.unparse(base)
        for node in ast.walk(parse(module))
        if isinstance(node, ast.ClassDef)
        for base in node.bases
    ]

    assert not [base for base in bases if base.endswith("Struct")]


@pytest.mark.parametrize("module", HOOK["modules"])
def test_compiled_module_does_not_await_while_it_handles_an_exception(module: str) -> None:
    waits = (ast.Await, ast.AsyncWith, ast.AsyncFor, ast.Yield)

    found = [w for part in handlers(parse(module)) for w in ast.walk(part) if isinstance(w, waits)]

    assert found == [], "others would see the exception as the one that they handle"
