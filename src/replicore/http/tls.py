"""The server's certificate: read from PEM files, and again when they change."""

from __future__ import annotations

import logging
import os
import ssl
from pathlib import Path
from typing import NoReturn

from replicore.errors import ConfigError

logger = logging.getLogger(__name__)

# What tells one version of a file from the next: time of change in ns, size in bytes, inode.
_Version = tuple[int, int, int]


class Tls:
    """A certificate and its private key, for :func:`replicore.http.server.serve`.

    Every handshake looks whether the files changed. Connections that are open keep what they have;
    files that cannot be used are warned of once, and the certificate before them stays.

    Args:
        cert: PEM file with the certificate, followed by those that lead to its root.
        key: PEM file with the private key, not encrypted.

    Attributes:
        context: What the event loop's ``create_server`` takes as ``ssl``.

    Raises:
        ConfigError: A file is missing or not PEM, or the key belongs to another certificate.
    """

    def __init__(self, cert: Path, key: Path) -> None:
        self._cert = cert
        self._key = key
        self._versions = self._stat()
        self._current = _load(cert, key)
        # The context that the loop holds never changes; each handshake moves on to the current one.
        self.context = _load(cert, key)
        self.context.sni_callback = self._begin_handshake

    def _begin_handshake(
        self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext
    ) -> None:
        self._reload()
        connection.context = self._current

    def _reload(self) -> None:
        versions = self._stat()
        if versions == self._versions:
            return
        self._versions = versions
        try:
            self._current = _load(self._cert, self._key)
        except ConfigError as error:
            logger.warning("the certificate stays as it was: %s", error.message)
        else:
            logger.info("the certificate was read again from %s", self._cert)

    def _stat(self) -> tuple[_Version | None, _Version | None]:
        return _version(self._cert), _version(self._key)


def _version(path: Path) -> _Version | None:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _load(cert: Path, key: Path) -> ssl.SSLContext:
    """Return a context for TLS 1.2 and later that offers HTTP/1.1 alone."""
    for path in (cert, key):
        _check_readable(path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])

    def refuse_passphrase() -> NoReturn:
        raise ConfigError(
            f"{key}: the private key is encrypted, and nobody is there to type its passphrase",
            hint=f"`openssl pkey -in {key} -out key.pem` writes it without one",
        )

    try:
        context.load_cert_chain(cert, key, password=refuse_passphrase)
    except ssl.SSLError as error:
        raise _explain(error, cert, key) from error
    return context


def _check_readable(path: Path) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


def _explain(error: ssl.SSLError, cert: Path, key: Path) -> ConfigError:
    if error.reason == "KEY_VALUES_MISMATCH":
        return ConfigError(f"{key}: this is not the private key of the certificate in {cert}")
    wrong, kind = (cert, "certificate") if not _has_certificate(cert) else (key, "private key")
    return ConfigError(f"{wrong}: not a {kind} in PEM form ({error.reason or error})")


def _has_certificate(path: Path) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(path)
    except ssl.SSLError:
        return False
    return True
