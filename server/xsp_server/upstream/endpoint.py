"""Upstreams reached over the network: what their settings share, whatever is spoken there."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from xsp_server.errors import ConfigError
from xsp_server.upstream.transport import (
    HEADER_NAME,
    HEADER_VALUE,
    RESERVED_HEADERS,
    UpstreamConfig,
)


def _leaves_framing_alone(headers: Mapping[str, str]) -> Mapping[str, str]:
    for name in headers:
        if name.lower() in RESERVED_HEADERS:
            raise ValueError(f"expected no {name}: it belongs to the connection or the body")
    return headers


HeaderName = Annotated[str, Field(pattern=HEADER_NAME)]
HeaderValue = Annotated[str, Field(pattern=HEADER_VALUE)]
Headers = Annotated[dict[HeaderName, HeaderValue], AfterValidator(_leaves_framing_alone)]


class EndpointConfig(UpstreamConfig):
    """An upstream at an address of the network."""

    headers: Annotated[Headers, Field(default_factory=dict)]
    """Sent along with every call, such as an API key: HTTP headers, or gRPC metadata. They stand
    above headers of the same names that a session brings."""
    max_response_bytes: Annotated[int, Field(ge=1024, le=256 * 1024 * 1024)] = 1024 * 1024
    """The largest answer that is read, in bytes; unpacked, if it is compressed."""
    ca: Path | None = None
    """PEM file of the authorities that its certificate is checked by. Without: the system's."""
    client_cert: Path | None = None
    """PEM file of the certificate that we show, with its chain. Without: none is shown."""
    client_key: Path | None = None
    """PEM file of the private key of `client_cert`. Without: it is in the same file."""
    server_name: Annotated[str, Field(min_length=1)] | None = None
    """The name that its certificate must be for. Without: the host of the endpoint."""

    @property
    def certificate_files(self) -> tuple[Path, ...]:
        """See `UpstreamConfig.certificate_files`."""
        named = (self.ca, self.client_cert, self.client_key)
        return tuple(file for file in named if file is not None)

    @model_validator(mode="after")
    def _key_has_certificate(self) -> Self:
        if self.client_key is not None and self.client_cert is None:
            raise ValueError("client_key needs client_cert")
        return self


def ssl_context(settings: EndpointConfig) -> ssl.SSLContext:
    """A TLS client's context with the authorities and the certificate of the settings.

    Raises:
        ConfigError: a file can't be read, or holds no such thing.
    """
    context = ssl.create_default_context()
    if settings.ca is not None:
        context = _trusting(settings.ca)
    if settings.client_cert is not None:
        key = settings.client_key or settings.client_cert
        read_pem(settings.client_cert), read_pem(key)  # whose errors tell the file
        try:
            # An empty password, so that an encrypted key is an error and not a question.
            context.load_cert_chain(settings.client_cert, key, password="")
        except OSError as error:  # ssl.SSLError is one; others: the file has just gone
            raise ConfigError(
                f"{settings.client_cert}: {_reason(error)}; expected a certificate in PEM format "
                f"and its private key, not encrypted, in {key}"
            ) from None
    return context


def read_pem(path: Path) -> bytes:
    """The bytes of a PEM file.

    Raises:
        ConfigError: it can't be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; expected a readable PEM file") from None


def _trusting(authorities: Path) -> ssl.SSLContext:
    read_pem(authorities)
    try:
        return ssl.create_default_context(cafile=authorities)
    except OSError as error:
        raise ConfigError(
            f"{authorities}: {_reason(error)}; expected certificates in PEM format"
        ) from None


def _reason(error: OSError) -> str:
    told = error.reason if isinstance(error, ssl.SSLError) else error.strerror
    return (told or str(error)).lower().replace("_", " ")
