"""Server-sent events: bytes in, the payloads of ``data:`` fields out.

An event ends at an empty line; lines end at CR, LF or CRLF, and the bytes may be cut anywhere. Of
an event's fields only ``data`` matters to OpenAI streams; several of them are joined by a newline.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from __future__ import annotations

DONE = b"[DONE]"


class SseParser:
    """Cuts a byte stream into events.

    >>> parser = SseParser()
    >>> parser.feed(b'data: {"a"')
    []
    >>> parser.feed(b": 1}\\n\\ndata: [DONE]\\n\\n")
    [b'{"a": 1}', b'[DONE]']
    """

    __slots__ = ("_data", "_line", "_skip_lf")

    def __init__(self) -> None:
        self._line = b""
        self._data: list[bytes] = []
        self._skip_lf = False

    def feed(self, data: bytes) -> list[bytes]:
        """Return the payloads of the events that these bytes complete."""
        if self._skip_lf and data:
            data = data.removeprefix(b"\n")
            self._skip_lf = False
        text = self._line + data
        self._skip_lf = text.endswith(b"\r")
        lines = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._line = lines.pop()
        return [payload for line in lines if (payload := self._end_line(line)) is not None]

    def _end_line(self, line: bytes) -> bytes | None:
        """Take one whole line; return the payload if it ended an event that has data."""
        if not line:
            payload = b"\n".join(self._data) if self._data else None
            self._data.clear()
            return payload
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
        return None
