"""What makes an artefact, and all that the artefact depends on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from replicore.engines.command import Command

Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A part of a compile that its log tells of.

    Attributes:
        pattern: Regular expression of the line that it begins with.
        label: For people, such as ``tracing``.
    """

    pattern: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What makes an artefact. Equal ``fields`` make equal artefacts, whoever makes them.

    Attributes:
        fields: All that the artefact depends on, by the name under which a user can change it: the
            dotted key of the spec where there is one (``layout.tp``), else a word for what it is
            (``model.revision``, ``neuronx-cc``).
        required: Whether no replica can start without the artefact; otherwise one only starts
            sooner with it.
        command: Makes it: given the artefact's folder and a work folder of its own, which is gone
            afterwards. None where a replica makes it by starting: it is started with the folder as
            its ``artefact`` until it is ready, and then stopped.
        outputs: Glob patterns below the artefact's folder; each must match files, none of them
            empty. Without them the compile has failed, whatever its exit code.
        stages: In the order in which they come.
        flaky: Regular expressions of failures that another try may not have.
        timeout_s: Longest time that it may take.
    """

    fields: Mapping[str, Value]
    required: bool
    command: Callable[[Path, Path], Command] | None = None
    outputs: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()
    flaky: tuple[str, ...] = ()
    timeout_s: float = 7200.0
