"""How the client connects: TLS, retries, keepalive and limits, as gRPC channel arguments."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

SERVICE = "xsp.bid.v1.BidService"
RETRIED = {
    SERVICE: ("Bid", "RunAuction"),
    "xsp.state.v1.StateService": ("CheckAndIncrementFrequency", "TrackSpend", "GetBudget"),
}
"""Nothing was answered when UNAVAILABLE ends a call, and a server knows what it did by the call's
request_id, so that asking again does no harm."""
MOST_ATTEMPTS = 5
"""gRPC makes no more, whatever it is told."""
SHORTEST_BACKOFF = 0.01
"""Seconds. gRPC loses a retry whose wait comes to about 1 ms (github.com/grpc/grpc/issues/41036):
the call then hangs until its deadline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Certificates, each as PEM.

    Attributes:
        root_certificates: who may sign the server's certificate. Default: gRPC's own list.
        private_key: of the client, where the server asks for a client certificate.
        certificate_chain: of the client, with `private_key`.
        server_name: the name to expect in the server's certificate. Default: the target's host.
    """

    root_certificates: bytes | None = None
    private_key: bytes | None = None
    certificate_chain: bytes | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        """Refuses half a client certificate.

        Raises:
            ValueError: one of `private_key` and `certificate_chain` is given without the other.
        """
        if (self.private_key is None) != (self.certificate_chain is None):
            raise ValueError(
                "a client certificate needs both private_key and certificate_chain; got one"
            )

    @classmethod
    def from_files(
        cls,
        *,
        root_certificates: Path | str | None = None,
        private_key: Path | str | None = None,
        certificate_chain: Path | str | None = None,
        server_name: str | None = None,
    ) -> "Tls":
        """Reads the certificates from PEM files.

        Raises:
            OSError: a file can't be read.
        """
        paths = (root_certificates, private_key, certificate_chain)
        root, key, chain = (None if path is None else Path(path).read_bytes() for path in paths)
        return cls(
            root_certificates=root,
            private_key=key,
            certificate_chain=chain,
            server_name=server_name,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelOptions:
    """Everything about the connection that has a good default.

    Attributes:
        attempts: tries of a call in all, 1 to 5, while the status is UNAVAILABLE and the deadline
            holds; no other status is tried again.
        first_backoff: seconds before the second try, give or take a fifth, at least 0.01; each
            further wait is twice as long.
        longest_backoff: seconds at which the waits stop growing; at least `first_backoff`.
        keepalive: seconds of silence during a call after which the connection is probed. The
            default is above the 300 s that gRPC servers tolerate unless told otherwise.
        keepalive_timeout: seconds until a probe, or sent data, without an answer counts as a
            broken connection.
        keepalive_when_idle: probe also while no call runs. The server must permit it.
        max_message_bytes: largest message sent or taken, in bytes.
        user_agent: name of your program, told to the server before the client's own.
        extra: further gRPC channel arguments by their names in gRPC; they win over the rest.
    """

    attempts: int = 3
    first_backoff: float = 0.02
    longest_backoff: float = 0.2
    keepalive: float = 320.0
    keepalive_timeout: float = 5.0
    keepalive_when_idle: bool = False
    max_message_bytes: int = 4 * 1024 * 1024
    user_agent: str = ""
    extra: tuple[tuple[str, int | str], ...] = ()

    def __post_init__(self) -> None:
        """Refuses what gRPC would not keep to.

        Raises:
            ValueError: `attempts`, `first_backoff` or `longest_backoff` is out of its range.
        """
        if not 1 <= self.attempts <= MOST_ATTEMPTS:
            raise ValueError(f"attempts: expected 1 to {MOST_ATTEMPTS}, got {self.attempts}")
        if not SHORTEST_BACKOFF <= self.first_backoff <= self.longest_backoff:
            raise ValueError(
                f"expected {SHORTEST_BACKOFF} <= first_backoff <= longest_backoff, "
                f"got {self.first_backoff} and {self.longest_backoff}"
            )


def check_target(target: str) -> None:
    """Refuses a URL, which gRPC would take for a name and not find.

    Raises:
        ValueError: it begins with http:// or https://.
    """
    for scheme in ("http://", "https://"):
        if target.lower().startswith(scheme):
            raise ValueError(f"target: got {target}; expected host:port, without {scheme}")


def open_channel(target: str, tls: Tls | None, options: ChannelOptions) -> grpc.aio.Channel:
    """A channel to the target; it connects at the first call. Needs a running event loop."""
    arguments = _arguments(tls, options)
    if tls is None:
        return grpc.aio.insecure_channel(target, options=arguments)
    credentials = grpc.ssl_channel_credentials(
        tls.root_certificates, tls.private_key, tls.certificate_chain
    )
    return grpc.aio.secure_channel(target, credentials, options=arguments)


def _arguments(tls: Tls | None, options: ChannelOptions) -> list[tuple[str, int | str]]:
    arguments: dict[str, int | str] = {
        "grpc.service_config": json.dumps(_service_config(options)),
        "grpc.keepalive_time_ms": round(options.keepalive * 1000),
        "grpc.keepalive_timeout_ms": round(options.keepalive_timeout * 1000),
        "grpc.keepalive_permit_without_calls": int(options.keepalive_when_idle),
        "grpc.max_send_message_length": options.max_message_bytes,
        "grpc.max_receive_message_length": options.max_message_bytes,
        "grpc.primary_user_agent": f"{options.user_agent} xsp-client".lstrip(),
    }
    if tls is not None and tls.server_name is not None:
        arguments["grpc.ssl_target_name_override"] = tls.server_name
    return [*(arguments | dict(options.extra)).items()]


def _service_config(options: ChannelOptions) -> dict[str, Any]:
    """What gRPC calls a service config: all addresses of the target in turn, and the retries."""
    config: dict[str, Any] = {"loadBalancingConfig": [{"round_robin": {}}]}
    if options.attempts > 1:
        policy = {
            "maxAttempts": options.attempts,
            "initialBackoff": f"{options.first_backoff:.9f}s",
            "maxBackoff": f"{options.longest_backoff:.9f}s",
            "backoffMultiplier": 2,
            "retryableStatusCodes": ["UNAVAILABLE"],
        }
        names = [
            {"service": service, "method": method}
            for service, methods in RETRIED.items()
            for method in methods
        ]
        config["methodConfig"] = [{"name": names, "retryPolicy": policy}]
    return config
