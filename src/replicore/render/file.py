"""A rendered file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedFile:
    """A file to write.

    Attributes:
        name: Without a folder.
        text: Ends with a newline.
        is_script: To be started as a program.
    """

    name: str
    text: str
    is_script: bool = False
