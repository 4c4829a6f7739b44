"""What a download tells about itself, for whoever shows it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Shows one piece of work at a time. Called from one thread at a time, not always the same."""

    def start(self, description: str, total_bytes: int | None) -> None:
        """Begin a piece of work; ``total_bytes`` is None where its size is unknown."""
        ...

    def advance(self, n: int) -> None:
        """Count ``n`` more bytes, at least 1."""
        ...

    def done(self) -> None:
        """End the piece of work, also when it failed."""
        ...


class Silent:
    """Shows nothing."""

    def start(self, description: str, total_bytes: int | None) -> None:
        pass

    def advance(self, n: int) -> None:
        pass

    def done(self) -> None:
        pass
