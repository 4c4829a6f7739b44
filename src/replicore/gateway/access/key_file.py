"""The file of API keys: one key a line, hashed, with what its owner may do.

::

    # a comment
    alice   sha256:9f86d081...  priority=high
    batch   sha256:60303ae2...  priority=low max_in_flight=8 tokens_per_minute=100000

A key is 256 random bits, so its plain SHA-256 is safe at rest: slow hashes make up for passwords
that can be guessed, and nobody guesses one of 2^256 keys. That is also why a file that others can
read is no reason for a warning. It is written with mode 0600 all the same: the names are nobody
else's business.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from replicore.errors import ConfigError
from replicore.files import write_atomically
from replicore.gateway.admission import NORMAL, PRIORITIES
from replicore.wording import listed, nearest, quoted

_HEADER = "# API keys of the replicore gateway, hashed; `replicore keys` edits this file\n"
_HINT = "`replicore keys add FILE NAME` makes a key, prints it once and writes its hash"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_PLAIN_KEY = re.compile(r"rc-[A-Za-z0-9_-]{43}")
_HASHED_KEY = re.compile(r"sha256:([0-9a-f]{64})", re.IGNORECASE)

# Limits are counted in float64 cells, which are exact up to here.
LARGEST_LIMIT = 2**53

_CLASSES = {name.encode(): priority for name, priority in PRIORITIES.items()}


class Caller(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Who holds a key, and what they may do.

    Attributes:
        digest: SHA-256 of the key.
        priority: Class of admission.py that the requests belong to.
        max_in_flight: Requests at the same time; None for any number.
        tokens_per_minute: Prompt and output tokens in any minute; None for any number.
    """

    name: str
    digest: bytes = b""
    priority: int = NORMAL
    max_in_flight: int | None = None
    tokens_per_minute: int | None = None

    def class_of(self, header: bytes | None) -> int:
        """Return the class of a request: the caller's own, or the lower one that it asks for."""
        if header is None:
            return self.priority
        return max(self.priority, _CLASSES.get(header.lower(), self.priority))


def new_key() -> str:
    """Return a key that nobody has: ``rc-`` and 256 random bits, url-safe."""
    return f"rc-{secrets.token_urlsafe(32)}"


def digest_of(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def read_callers(path: Path) -> list[Caller]:
    """Return the callers in the order of the file.

    Raises:
        ConfigError: It cannot be read, or a line is wrong.
    """
    return parse_callers(_read(path), path)


def add_caller(path: Path, caller: Caller) -> None:
    """Write one more line; the file is made if it is not there.

    Raises:
        ConfigError: The name is taken or no name, or the file is wrong or cannot be written.
    """
    _check_name(caller.name, "NAME")
    with _locked(path):
        text = _read(path) if path.exists() else _HEADER
        if any(other.name == caller.name for other in parse_callers(text, path)):
            raise ConfigError(
                f"{path}: there is a key {quoted(caller.name)} already; give another name",
                hint=f"`replicore keys remove {path} {caller.name}` makes its key invalid",
            )
        newline = "" if not text or text.endswith("\n") else "\n"
        _write(path, f"{text}{newline}{_line_of(caller)}\n")


def remove_caller(path: Path, name: str) -> None:
    """Take out the line of ``name``; comments and the other lines stay as they are.

    Raises:
        ConfigError: There is no such name, or the file is wrong or cannot be written.
    """
    with _locked(path):
        text = _read(path)
        names = [caller.name for caller in parse_callers(text, path)]
        if name not in names:
            close = nearest(name, names)
            raise ConfigError(
                f"{path}: there is no key {quoted(name)}; these are: {listed(names) or 'none'}",
                hint=f'did you mean "{close}"?' if close else None,
            )
        lines = text.splitlines(keepends=True)
        _write(path, "".join(line for line in lines if line.split()[:1] != [name]))


def parse_callers(text: str, path: Path) -> list[Caller]:
    """Return the callers that a file's text tells of.

    Raises:
        ConfigError: A line is wrong; the message names it, and never a key.
    """
    names: dict[str, int] = {}
    digests: dict[bytes, str] = {}
    callers = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if words:
            caller = _parse_line(words, f"{path}:{number}")
            _check_new(caller, names, digests, f"{path}:{number}")
            names[caller.name], digests[caller.digest] = number, caller.name
            callers.append(caller)
    return callers


def _parse_line(words: list[str], where: str) -> Caller:
    if any(_PLAIN_KEY.fullmatch(word) for word in words):
        raise ConfigError(f"{where}: this is a plain key; the file holds only hashes", hint=_HINT)
    name, *rest = words
    _check_name(name, where)
    hashed = _HASHED_KEY.fullmatch(rest[0]) if rest else None
    if hashed is None:
        # What stands there may be a key, so it is not repeated.
        raise ConfigError(
            f"{where}: {quoted(name)} must be followed by its hashed key, `sha256:` and 64 "
            "hexadecimal digits",
            hint=_HINT,
        )
    attributes = _parse_attributes(rest[1:], where)
    return Caller(name=name, digest=bytes.fromhex(hashed[1]), **attributes)


def _check_name(name: str, where: str) -> None:
    if _PLAIN_KEY.fullmatch(name):
        raise ConfigError(f"{where}: this is a key and not a name; give a name like alice")
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{where}: {quoted(name)} is no name; one has at most 64 letters, digits and ._@-, and "
            "begins with a letter or digit"
        )


def _check_new(
    caller: Caller, names: dict[str, int], digests: dict[bytes, str], where: str
) -> None:
    if caller.name in names:
        raise ConfigError(
            f"{where}: the name {quoted(caller.name)} stands in line {names[caller.name]} already; "
            "every key needs its own"
        )
    if caller.digest in digests:
        raise ConfigError(
            f"{where}: {quoted(caller.name)} has the key of {quoted(digests[caller.digest])}; "
            "every name needs its own",
            hint=_HINT,
        )


def _parse_attributes(words: list[str], where: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for word in words:
        attribute, _, value = word.partition("=")
        parse = _ATTRIBUTES.get(attribute)
        if parse is None:
            raise ConfigError(
                f"{where}: unknown attribute {quoted(word)} (valid: {', '.join(_ATTRIBUTES)})",
                hint=_suggestion(attribute),
            )
        if attribute in found:
            raise ConfigError(f"{where}: {attribute} is given twice; leave one out")
        found[attribute] = parse(value, f"{where}: {attribute}")
    return found


def _suggestion(attribute: str) -> str | None:
    close = nearest(attribute, _ATTRIBUTES)
    return f'did you mean "{close}"?' if close else None


def parse_priority(value: str, where: str) -> int:
    """Return the class of that name.

    Raises:
        ConfigError: There is none.
    """
    if value not in PRIORITIES:
        raise ConfigError(
            f"{where}: unknown priority {quoted(value)} (valid: {listed(PRIORITIES)})"
        )
    return PRIORITIES[value]


def _parse_limit(value: str, where: str) -> int:
    limit = int(value) if re.fullmatch(r"[0-9]{1,16}", value) else 0
    if not 1 <= limit <= LARGEST_LIMIT:
        raise ConfigError(f"{where}: {quoted(value)} is no whole number of 1 or more")
    return limit


_ATTRIBUTES: dict[str, Callable[[str, str], int]] = {
    "priority": parse_priority,
    "max_in_flight": _parse_limit,
    "tokens_per_minute": _parse_limit,
}


def priority_name(priority: int) -> str:
    return next(name for name, value in PRIORITIES.items() if value == priority)


def _line_of(caller: Caller) -> str:
    words = [caller.name, f"sha256:{caller.digest.hex()}"]
    if caller.priority != NORMAL:
        words.append(f"priority={priority_name(caller.priority)}")
    if caller.max_in_flight is not None:
        words.append(f"max_in_flight={caller.max_in_flight}")
    if caller.tokens_per_minute is not None:
        words.append(f"tokens_per_minute={caller.tokens_per_minute}")
    return " ".join(words)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep other writers out.

    The lock is on the folder: the file itself is replaced by every write, and a lock file would be
    left behind.
    """
    with _told(path, "written"):
        fd = os.open(path.resolve().parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _read(path: Path) -> str:
    try:
        with _told(path, "read"):
            return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is no UTF-8; this is no key file") from error


def _write(path: Path, text: str) -> None:
    with _told(path, "written"):
        # A link stays a link, and the file's owner and mode stay what they were: the gateway may
        # run as another user than the one who adds a key.
        target = path.resolve()
        before = target.stat() if target.exists() else None
        write_atomically(target, text.encode())
        target.chmod(0o600 if before is None else before.st_mode & 0o777)
        if before is not None:
            with suppress(PermissionError):
                os.chown(target, before.st_uid, before.st_gid)


@contextmanager
def _told(path: Path, done: str) -> Iterator[None]:
    """Tell the user of a file that cannot be read or written; it is not a bug."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(
            f"{path}: cannot be {done} ({reason}); give the path of a key file"
        ) from error
