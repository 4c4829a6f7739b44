from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from replicore.errors import ConfigError
from replicore.http.server import Limits, Request, Response, listen, serve
from replicore.http.tls import Tls
from tests.integration.loops import run

TIMEOUT_S = 10.0
NOW = datetime.datetime.now(datetime.UTC)
GET = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"


@dataclass(frozen=True)
class Files:
    cert: Path
    key: Path

    def write(self, name: str) -> Files:
        """Make a new key, and a certificate in which it signs itself."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        cert = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - datetime.timedelta(days=1))
            .not_valid_after(NOW + datetime.timedelta(days=1))
            .sign(key, hashes.SHA256())
        )
        self.write_key(key, serialization.NoEncryption())
        self.replace(self.cert, cert.public_bytes(serialization.Encoding.PEM))
        return self

    def write_key(
        self,
        key: ec.EllipticCurvePrivateKey,
        encryption: serialization.KeySerializationEncryption,
    ) -> None:
        form = serialization.PrivateFormat.PKCS8
        self.replace(self.key, key.private_bytes(serialization.Encoding.PEM, form, encryption))

    @staticmethod
    def replace(path: Path, data: bytes) -> None:
        """Put a new file in the place of the old one, as tools that renew certificates do."""
        new = path.with_suffix(".new")
        new.write_bytes(data)
        os.replace(new, path)


@pytest.fixture(name="files")
def _files(tmp_path: Path) -> Files:
    return Files(tmp_path / "cert.pem", tmp_path / "key.pem").write("first")


def hello(_request: Request, response: Response) -> None:
    response.send(200, b"hello")


@contextlib.asynccontextmanager
async def serving(files: Files, limits: Limits | None = None) -> AsyncIterator[int]:
    """A server with the certificate; yield its port."""
    sock = listen("127.0.0.1", 0)
    tls = Tls(files.cert, files.key)
    server = await serve(hello, sock=sock, limits=limits, tls=tls)
    try:
        yield sock.getsockname()[1]
    finally:
        server.close()
        await server.wait_closed(TIMEOUT_S)


@dataclass
class Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def ssl(self) -> ssl.SSLObject:
        found: ssl.SSLObject = self.writer.get_extra_info("ssl_object")
        return found

    @property
    def name(self) -> str:
        """The name in the server's certificate."""
        der = self.ssl.getpeercert(binary_form=True)
        assert der is not None
        common = x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(
            NameOID.COMMON_NAME
        )
        return str(common[0].value)

    async def get(self) -> bytes:
        self.writer.write(GET)
        await self.reader.readuntil(b"\r\n\r\n")
        return await self.reader.readexactly(5)


@contextlib.asynccontextmanager
async def connected(port: int, context: ssl.SSLContext | None = None) -> AsyncIterator[Connection]:
    if context is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()


def test_requests_are_served_over_tls(files: Files) -> None:
    async def test() -> None:
        async with serving(files) as port, connected(port) as connection:
            assert await connection.get() == b"hello"
            assert await connection.get() == b"hello"

        assert connection.name == "first"

    run(test)


def test_a_client_that_checks_the_certificate_is_content_with_it(files: Files) -> None:
    async def test() -> None:
        context = ssl.create_default_context(cafile=files.cert)
        context.check_hostname = False
        context.set_alpn_protocols(["h2", "http/1.1"])
        async with serving(files) as port, connected(port, context) as connection:
            assert await connection.get() == b"hello"

            assert connection.ssl.selected_alpn_protocol() == "http/1.1"
            assert connection.ssl.version() == "TLSv1.3"

    run(test)


def test_a_client_of_an_old_version_is_refused(files: Files) -> None:
    async def test() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_ciphers("DEFAULT:@SECLEVEL=0")  # or the client itself would refuse
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        async with serving(files) as port:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                async with connected(port, context):
                    pass

    run(test)


def test_new_connections_get_a_renewed_certificate_and_open_ones_stay(files: Files) -> None:
    async def test() -> None:
        files.write("first")
        async with serving(files) as port, connected(port) as old:
            files.write("second")
            async with connected(port) as new:
                assert await new.get() == b"hello"
                assert await old.get() == b"hello"

        assert (old.name, new.name) == ("first", "second")

    run(test)


def test_a_broken_renewal_keeps_the_old_certificate_and_is_warned_of_once(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        caplog.clear()
        files.write("first")
        async with serving(files) as port:
            files.replace(files.cert, b"broken")
            for _ in range(2):
                async with connected(port) as connection:
                    assert await connection.get() == b"hello"
                    assert connection.name == "first"
            assert caplog.text.count("the certificate stays as it was") == 1
            files.write("second")
            async with connected(port) as connection:
                assert connection.name == "second"

    run(test)


def test_plain_http_to_the_tls_port_does_not_hang(files: Files) -> None:
    async def test() -> None:
        async with serving(files) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(GET)
            with contextlib.suppress(ConnectionError):
                assert b"HTTP" not in await reader.read()
            writer.close()

    run(test)


def test_a_client_that_does_not_finish_the_handshake_is_cut_off(files: Files) -> None:
    async def test() -> None:
        async with serving(files, Limits(header_timeout=0.1)) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()

    run(test)


def test_a_client_that_leaves_without_a_word_is_forgotten(files: Files) -> None:
    async def test() -> None:
        async with serving(files) as port, connected(port) as connection:
            await connection.get()
            connection.writer.transport.abort()

    run(test)


@pytest.mark.parametrize("name", ["cert", "key"])
def test_a_missing_file_is_named(files: Files, name: str) -> None:
    getattr(files, name).unlink()

    with pytest.raises(ConfigError, match=rf"{name}\.pem: cannot be read: No such file"):
        Tls(files.cert, files.key)


@pytest.mark.parametrize(("name", "kind"), [("cert", "certificate"), ("key", "private key")])
def test_a_file_that_is_not_pem_is_named(files: Files, name: str, kind: str) -> None:
    getattr(files, name).write_bytes(b"hello")

    with pytest.raises(ConfigError, match=rf"{name}\.pem: not a {kind} in PEM form"):
        Tls(files.cert, files.key)


def test_the_key_of_another_certificate_is_refused(files: Files, tmp_path: Path) -> None:
    other = Files(tmp_path / "other.pem", tmp_path / "other-key.pem").write("other")

    with pytest.raises(ConfigError, match=r"other-key\.pem: this is not the private key of"):
        Tls(files.cert, other.key)


def test_an_encrypted_key_is_refused_without_asking_for_its_passphrase(files: Files) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    files.write_key(key, serialization.BestAvailableEncryption(b"secret"))

    with pytest.raises(ConfigError, match="encrypted") as caught:
        Tls(files.cert, files.key)

    assert caught.value.hint is not None
