"""What all Kubernetes objects of a deployment have in common; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

Object = dict[str, Any]

PORT = 8000

_NOT_IN_A_NAME = re.compile(r"[^a-z0-9-]")
# Labels have at most 63 characters. That of a StatefulSet's pods is its name, which ends with
# -replica, and a hash of ten digits; that of the download's is its name, with -fetch-model.
_LONGEST = 44


def object_name(name: str) -> str:
    """Return a deployment's name as a DNS label that begins with a letter, as a Service's must."""
    label = _NOT_IN_A_NAME.sub("-", name).strip("-")
    if not label[:1].isalpha():
        label = f"replicore-{label}"
    return label[:_LONGEST].strip("-")


def metadata(name: str, *, of: str, component: str) -> Object:
    """Return an object's metadata.

    Args:
        of: The deployment's own name.
        component: What the object belongs to, such as ``replica``.
    """
    return {
        "name": name,
        "labels": {**selector(of, component), "app.kubernetes.io/managed-by": "replicore"},
    }


def selector(of: str, component: str) -> Object:
    """Return the labels by which pods are found."""
    return {"app.kubernetes.io/name": of, "app.kubernetes.io/component": component}


def literal(text: str) -> str:
    """Return a word of ``command`` or ``env`` in which Kubernetes replaces no ``$(VARIABLE)``."""
    return text.replace("$(", "$$(")


def environment(variables: Mapping[str, str]) -> list[Object]:
    return [{"name": name, "value": literal(value)} for name, value in variables.items()]


def document(comment: Sequence[str], objects: Sequence[Object]) -> str:
    """Return objects as one YAML file."""
    head = "".join(f"# {line}\n" for line in comment)
    return head + yaml.dump_all(
        objects, Dumper=_Dumper, sort_keys=False, explicit_start=True, width=100, allow_unicode=True
    )


class _Dumper(yaml.SafeDumper):
    """Indents the items of lists, shows scripts as they are, and has no anchors: people read it."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
