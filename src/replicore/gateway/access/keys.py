"""Who is asking: the API keys that the gateway knows."""

from __future__ import annotations

import hmac
import logging
from hashlib import sha256
from pathlib import Path

from replicore.errors import ConfigError
from replicore.gateway.access.key_file import Caller, read_callers

# (device, inode, mtime in ns, size): another file, or another content.
_Stamp = tuple[int, int, int, int]

ANONYMOUS = Caller(name="")

_logger = logging.getLogger(__name__)


class KeyRing:
    """The keys of one file, read again when it changes."""

    __slots__ = ("_callers", "_path", "_stamp")

    def __init__(self, path: Path, callers: list[Caller], stamp: _Stamp | None) -> None:
        self._path = path
        self._stamp = stamp
        self._callers = _by_digest(callers)

    @classmethod
    def read(cls, path: Path) -> KeyRing:
        """Return the keys of a file.

        Raises:
            ConfigError: It cannot be read, or a line is wrong.
        """
        # The stamp first: a change in between is seen as one.
        stamp = _stamp(path)
        return cls(path, read_callers(path), stamp)

    def __len__(self) -> int:
        return len(self._callers)

    def check(self, authorization: bytes | None) -> Caller | None:
        """Return whose key a request's ``authorization`` header holds; None for nobody's.

        The time tells nothing of a key: what is looked up is the digest, which whoever guesses
        cannot steer, and what is found is compared in constant time.
        """
        if authorization is None or authorization[:7].lower() != b"bearer ":
            return None
        digest = sha256(authorization[7:].strip()).digest()
        caller = self._callers.get(digest)
        if caller is not None and hmac.compare_digest(caller.digest, digest):
            return caller
        return None

    def reload(self) -> bool:
        """Read the file again if it changed; return whether other keys hold now.

        A file that is gone or wrong changes nothing; that is logged once per change.
        """
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            callers = _by_digest(read_callers(self._path))
        except ConfigError as error:
            _logger.warning("%s; the keys read before stay valid", error.message)
            return False
        changed = callers != self._callers
        self._callers = callers
        return changed


def _by_digest(callers: list[Caller]) -> dict[bytes, Caller]:
    return {caller.digest: caller for caller in callers}


def _stamp(path: Path) -> _Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size
