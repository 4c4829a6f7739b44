"""Turn huggingface_hub's progress bars into calls of a :class:`Progress`."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from types import TracebackType
from typing import Any, Self

from replicore.models.progress import Progress


class DownloadStopped(Exception):
    """Raised inside a download's threads once it was told to stop."""


class ByteMeter:
    """Counts the bytes of one download over all of its threads and bars.

    huggingface_hub has one bar for bytes off the network and one for bytes in files; with its
    Xet protocol, which compresses, they differ. The one that is ahead counts.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._reported = 0
        self._stopped = False
        self._lock = Lock()

    def stop(self) -> None:
        """Make every thread's next report fail: the only way to end a download early."""
        self._stopped = True

    def report(self, total: float) -> None:
        if self._stopped:
            raise DownloadStopped
        with self._lock:
            ahead = int(total) - self._reported
            if ahead > 0:
                self._reported += ahead
                self._progress.advance(ahead)

    def bar(self, **options: Any) -> Bar:
        """Make a bar; give this method to huggingface_hub as ``tqdm_class``."""
        return Bar(self.report if options.get("unit") == "B" else None, options.get("total"))


class Bar:
    """As much of ``tqdm`` as huggingface_hub uses, showing nothing by itself."""

    def __init__(self, report: Callable[[float], None] | None, total: float | None) -> None:
        self.n: float = 0
        self.total = total
        self.format_dict: dict[str, Any] = {}
        self._report = report

    def update(self, n: float | None = 1) -> None:
        self.n += n or 0
        if self._report is not None:
            self._report(self.n)

    def refresh(self) -> None:
        pass

    def close(self) -> None:
        pass

    def set_description(self, text: str | None = None, refresh: bool = True) -> None:
        pass

    def set_description_str(self, text: str | None = None, refresh: bool = True) -> None:
        pass

    def set_postfix_str(self, text: str = "", refresh: bool = True) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
