"""The values of a ``config.json``, where each size has as many names as there are model families.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from replicore.errors import ModelError


class ConfigValues:
    """The values of one file; those of a multimodal model's text part come first.

    Args:
        path: The file, for errors.
    """

    def __init__(self, path: Path, values: Mapping[str, Any]) -> None:
        self._path = path
        text = values.get("text_config")
        self.is_multimodal = any(key in values for key in ("vision_config", "audio_config"))
        self._values = {**values, **text} if isinstance(text, Mapping) else values

    @property
    def architecture(self) -> str:
        name = self._values.get("model_type")
        if not isinstance(name, str):
            raise ModelError(f'{self._path}: there is no "model_type"')
        return name

    def find(self, names: Iterable[str]) -> int | None:
        """Return the first of ``names`` that is a size; a key may also be there and null."""
        for name in names:
            value = self._values.get(name)
            if isinstance(value, int) and value > 0:
                return value
        return None

    def size(self, names: tuple[str, ...]) -> int:
        """Return the same, and raise ModelError where there is none."""
        value = self.find(names)
        if value is None:
            others = f" (nor {', '.join(names[1:])})" if len(names) > 1 else ""
            raise ModelError(f'{self._path}: there is no usable "{names[0]}"{others}')
        return value

    def is_true(self, name: str, *, default: bool = False) -> bool:
        """Return a truth value, and ``default`` where there is none."""
        value = self._values.get(name)
        return value if isinstance(value, bool) else default

    def text(self, name: str) -> str:
        """Return a string; an empty one where there is none."""
        value = self._values.get(name)
        return value if isinstance(value, str) else ""

    def numbers(self, name: str) -> tuple[int, ...]:
        """Return the whole numbers of a list; none where there is no list."""
        value = self._values.get(name)
        found = value if isinstance(value, list) else []
        return tuple(item for item in found if isinstance(item, int))

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the strings of a list; none where there is no list."""
        value = self._values.get(name)
        found = value if isinstance(value, list) else []
        return tuple(item for item in found if isinstance(item, str))

    def table(self, name: str) -> Mapping[str, Any]:
        """Return a table; an empty one where there is none."""
        value = self._values.get(name)
        return value if isinstance(value, Mapping) else {}
