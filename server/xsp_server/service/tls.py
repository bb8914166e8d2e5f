"""The server's own certificates, which may be renewed while it listens.

A connection keeps the certificate that it began with; later ones get the new one.
"""

import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path

import grpc

from xsp_server.config import TlsSettings
from xsp_server.errors import ConfigError

Files = Mapping[Path, bytes]
"""PEM by path."""


class Certificates:
    """What is shown to callers, and what theirs are checked by."""

    def __init__(self, tls: TlsSettings) -> None:
        """Reads the files.

        Args:
            tls: with `cert` and `key`.

        Raises:
            ConfigError: one can't be read, or doesn't hold what it should.
        """
        self._tls = tls
        self._files = _read(tls)
        self._renewed: grpc.ServerCertificateConfiguration | None = None

    @property
    def files(self) -> list[Path]:
        """All of them."""
        return [path for _, path in _paths(self._tls)]

    def credentials(self) -> grpc.ServerCredentials:
        """For a port; it asks here at every handshake whether there are others by now."""
        return grpc.dynamic_ssl_server_credentials(
            _configuration(self._tls, self._files),
            self._take,  # type: ignore[arg-type] # gRPC takes None for "as before"; its stubs don't
            self._tls.client_ca is not None,
        )

    def renew(self) -> bool:
        """Reads the files again; the next connection gets what they hold. Whether that is new.

        Raises:
            ConfigError: one can't be read, or doesn't hold what it should; all stays as it was.
        """
        files = _read(self._tls)
        if files == self._files:
            return False
        self._renewed = _configuration(self._tls, files)
        self._files = files
        return True

    def _take(self) -> grpc.ServerCertificateConfiguration | None:
        """What gRPC has not got yet; it asks in threads of its own. None: it has all."""
        renewed, self._renewed = self._renewed, None
        return renewed


def certificates(tls: TlsSettings) -> Certificates | None:
    """Those of the settings; None: plain text is spoken.

    Raises:
        ConfigError: a file can't be read, or doesn't hold what it should.
    """
    return None if tls.cert is None else Certificates(tls)


def _read(tls: TlsSettings) -> Files:
    files = {path: _pem(name, path) for name, path in _paths(tls)}
    _check(tls)
    return files


def _paths(tls: TlsSettings) -> Iterator[tuple[str, Path]]:
    for name in ("key", "cert", "client_ca"):
        path = getattr(tls, name)
        if path is not None:
            yield name, path


def _configuration(tls: TlsSettings, files: Files) -> grpc.ServerCertificateConfiguration:
    assert tls.key is not None  # noqa: S101 - settings have both or neither
    assert tls.cert is not None  # noqa: S101
    authorities = None if tls.client_ca is None else files[tls.client_ca]
    return grpc.ssl_server_certificate_configuration(
        [(files[tls.key], files[tls.cert])], root_certificates=authorities
    )


def _check(tls: TlsSettings) -> None:
    """Tells now what gRPC would tell connection by connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    assert tls.cert is not None  # noqa: S101
    try:
        # An empty password, so that an encrypted key is an error and not a question.
        context.load_cert_chain(tls.cert, tls.key, password="")
    except OSError as error:  # ssl.SSLError is one; others: the file has just gone
        raise ConfigError(
            f"server.tls.cert: {tls.cert}: {_reason(error)}; expected a certificate in PEM format "
            f"and its private key, not encrypted, in {tls.key}"
        ) from None
    if tls.client_ca is not None:
        try:
            context.load_verify_locations(tls.client_ca)
        except OSError as error:
            raise ConfigError(
                f"server.tls.client_ca: {tls.client_ca}: {_reason(error)}; expected certificates "
                "in PEM format"
            ) from None


def _pem(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"server.tls.{name}: {path}: {error.strerror}; expected a readable PEM file"
        ) from None


def _reason(error: OSError) -> str:
    told = error.reason if isinstance(error, ssl.SSLError) else error.strerror
    return (told or str(error)).lower().replace("_", " ")
