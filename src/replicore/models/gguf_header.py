"""The header of a GGUF file: its metadata, and whether its tensors are all there.

Our own reader, because the `gguf` package makes an array object of each of the 98,000 vocabulary
strings of SmolLM2: 2.5 s, and 0.45 s to import it (with numpy), against 0.02 s here. `replicore up`
is to be ready within 5 s.

Source: the GGUF specification, ggml/docs/gguf.md, versions 2 and 3, little-endian.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from replicore.errors import ModelError


@dataclass(frozen=True, slots=True)
class StringArray:
    """An array of strings, such as the vocabulary, which is not read.

    Attributes:
        offset: Where its first string begins in the file.
    """

    length: int
    offset: int = field(default=0, compare=False)


Scalar = int | float | bool | str
Value = Scalar | tuple[int | float | bool, ...] | StringArray


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor's size.

    Attributes:
        stored: Its bytes; 0 where its type is newer than :data:`BLOCKS`.
        end: Where it ends, in bytes from the start of the tensor data.
    """

    name: str
    elements: int
    stored: int
    end: int


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What a GGUF file says about itself.

    Attributes:
        tensor_bytes: Bytes of the tensor data, alignment included.
        tensors: In the file's order.
    """

    metadata: Mapping[str, Value]
    tensor_bytes: int
    tensors: tuple[Tensor, ...] = ()


_STRING, _ARRAY = 8, 9
_NUMBERS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
_DEFAULT_ALIGNMENT = 32

# Tensor type -> (elements in a block, bytes of a block). Types that are not here are newer than
# this table: only the end of a tensor that has one is then not checked.
BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
    9: (32, 40), 10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210),
    15: (256, 292), 16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18),
    21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8),
    28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17),
    40: (64, 36), 41: (128, 18),
}  # fmt: skip


class _Malformed(Exception):
    """Raised where the bytes are not what the format wants; carries what is wrong."""


def read_gguf_header(path: Path) -> GgufHeader:
    """Read the header of one GGUF file and check that the file holds all of its tensors.

    Raises:
        ModelError: It cannot be read, is no GGUF file, or is cut off.
    """
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            if size < 24 or file.read(4) != b"GGUF":
                raise ModelError(f"{path} is not a GGUF file: it does not start with GGUF")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _parse(_Reader(data), size)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error
    except (_Malformed, struct.error, OverflowError, UnicodeDecodeError) as error:
        why = error if isinstance(error, _Malformed) else "it ends inside its header"
        raise ModelError(
            f"{path} cannot be used as a GGUF file: {why}",
            hint="the download may have been cut off; fetch the file again",
        ) from error


class _Reader:
    """A position in the file's bytes."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.position = 4

    def numbers(self, code: str, count: int) -> tuple[int | float | bool, ...]:
        width = struct.calcsize("<" + code)
        if count * width > len(self.data) - self.position:
            raise _Malformed("it ends inside its header")
        values = struct.unpack_from(f"<{count}{code}", self.data, self.position)
        self.position += count * width
        return values

    def integer(self, code: str) -> int:
        return int(self.numbers(code, 1)[0])

    def string(self) -> str:
        length = self.integer("Q")
        start, self.position = self.position, self.position + length
        if self.position > len(self.data):
            raise _Malformed("it ends inside its header")
        return self.data[start : self.position].decode()

    def skip_strings(self, count: int) -> None:
        data, position, read_length = self.data, self.position, struct.Struct("<Q").unpack_from
        for _ in range(count):
            position += 8 + read_length(data, position)[0]
        self.position = position


def _parse(reader: _Reader, size: int) -> GgufHeader:
    version = reader.integer("I")
    if version not in (2, 3):
        raise _Malformed(f"its format version is {version}, and 2 and 3 can be read")
    tensors, entries = reader.integer("Q"), reader.integer("Q")
    metadata: dict[str, Value] = {}
    for _ in range(entries):
        key = reader.string()
        metadata[key] = _read_value(reader, reader.integer("I"))
    found = tuple(_read_tensor(reader) for _ in range(tensors))
    data_end = max((tensor.end for tensor in found), default=0)
    data_start = _align(reader.position, metadata.get("general.alignment"))
    if data_start + data_end > size:
        raise _Malformed(f"it has {size} bytes, and its tensors end at {data_start + data_end}")
    return GgufHeader(metadata, max(0, size - data_start), found)


def _read_value(reader: _Reader, kind: int) -> Value:
    if kind == _STRING:
        return reader.string()
    if kind == _ARRAY:
        return _read_array(reader, reader.integer("I"), reader.integer("Q"))
    return reader.numbers(_code(kind), 1)[0]


def _read_array(reader: _Reader, kind: int, count: int) -> Value:
    if kind == _STRING:
        offset = reader.position
        reader.skip_strings(count)
        return StringArray(count, offset)
    return reader.numbers(_code(kind), count)


def _code(kind: int) -> str:
    if kind not in _NUMBERS:
        raise _Malformed(f"a metadata value has type {kind}, which is unknown")
    return _NUMBERS[kind]


def _read_tensor(reader: _Reader) -> Tensor:
    name = reader.string()
    elements = 1
    for dimension in reader.numbers("Q", reader.integer("I")):
        elements *= int(dimension)
    block_elements, block_bytes = BLOCKS.get(reader.integer("I"), (1, 0))
    stored = elements // block_elements * block_bytes
    return Tensor(name, elements, stored, reader.integer("Q") + stored)


def _align(position: int, alignment: Value | None) -> int:
    step = alignment if isinstance(alignment, int) and alignment > 0 else _DEFAULT_ALIGNMENT
    return -(-position // step) * step
