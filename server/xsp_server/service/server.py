"""The server put together: services, health, reflection, TLS, and an orderly end."""

import errno
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import grpc
import structlog
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from com.iabtechlab.bidstream.mutation.services.v1 import agentic_rtb_framework_service_pb2
from xsp.bid.v1 import bid_service_pb2
from xsp.state.v1 import state_service_pb2
from xsp.state.v1.guarantee_pb2 import FailPolicy
from xsp.vast.v1 import vast_service_pb2
from xsp_server.config import RecordSettings, ServerSettings, Settings, StateSettings
from xsp_server.errors import ConfigError
from xsp_server.service.auction_state import AuctionState
from xsp_server.service.auctions import Auctions
from xsp_server.service.bid import BidServicer
from xsp_server.service.live import LiveExchange
from xsp_server.service.methods import Gate, bind
from xsp_server.service.notify import Notices
from xsp_server.service.record_file import RecordWriter
from xsp_server.service.recorder import Recorder
from xsp_server.service.session import session_headers
from xsp_server.service.state import StateServicer
from xsp_server.service.store import StoreHealth, store_of
from xsp_server.service.stream import BidStreams
from xsp_server.service.tls import Certificates, certificates
from xsp_server.service.unwrapping import Unwrapping
from xsp_server.service.vast import CallersTags, ErrorNotices, VastServicer
from xsp_server.state.accounts import Accounts
from xsp_server.upstream.documents import Documents
from xsp_server.upstream.fetch import GuardedFetcher
from xsp_server.upstream.guard import AddressGuard
from xsp_server.upstream.notices import NoticeSender
from xsp_server.vast.resolver import VastChainResolver

log = structlog.get_logger(__name__)

BID_SERVICE = bid_service_pb2.DESCRIPTOR.services_by_name["BidService"]
VAST_SERVICE = vast_service_pb2.DESCRIPTOR.services_by_name["VastService"]
STATE_SERVICE = state_service_pb2.DESCRIPTOR.services_by_name["StateService"]
BUILT = (BID_SERVICE, VAST_SERVICE, STATE_SERVICE)
UNBUILT: tuple[ServiceDescriptor, ...] = (
    agentic_rtb_framework_service_pb2.DESCRIPTOR.services_by_name["RTBExtensionPoint"],
)
"""In the contract, so that reflection shows them; every method answers UNIMPLEMENTED."""


class Server:
    """A running exchange.

    Use it as an async context manager, or call `start` and `stop`.
    """

    def __init__(self, settings: Settings) -> None:
        """Builds the bidders; nothing listens yet.

        Raises:
            ConfigError: a bidder's section doesn't fit its type, two share a name, or a setting of
                rules, privacy or supply chain is wrong.
        """
        self._settings = settings
        self._accounts = _accounts(settings.state)
        self._state = AuctionState(self._accounts, settings.state.auction_ms / 1000)
        self._exchange = LiveExchange(settings, self._state)
        self._health = health.aio.HealthServicer()
        self._store_health = StoreHealth(
            self._accounts.backend, self._health, STATE_SERVICE.full_name
        )
        self._gate = Gate(settings.server)
        self._version = version("xsp")
        self._recorder = _recorder(settings.record, self._version)
        self._certificates: Certificates | None = None
        self._port = 0
        self._running: _Running | None = None

    @property
    def port(self) -> int:
        """The TCP port that was bound; 0 for a Unix socket."""
        return self._port

    @property
    def certificate_files(self) -> list[Path]:
        """Our own, and those that bidders are reached with."""
        ours = [] if self._certificates is None else self._certificates.files
        return [*ours, *self._exchange.certificate_files]

    @property
    def address(self) -> str:
        """What a client on this machine dials."""
        listen = self._settings.server.listen
        if listen.startswith("unix:"):
            return listen
        return f"{listen.rpartition(':')[0]}:{self._port}"

    async def start(self) -> None:
        """Listens, and says SERVING on the health service.

        Raises:
            ConfigError: the address can't be bound, a certificate can't be read, or the store is
                not fit to be used.
        """
        await self._store_health.start()
        if self._recorder is not None:
            await self._recorder.start()
        fetcher = GuardedFetcher(AddressGuard(self._settings.guard))
        sender = NoticeSender(fetcher, self._settings.notices)
        notices = Notices(
            sender,
            self._settings.notices,
            headers_of=session_headers,
            reservations=self._accounts.reservations,
        )
        documents = self._documents()
        resolver = VastChainResolver(
            CallersTags(Documents(documents, max_cache_bytes=self._settings.vast.max_cache_bytes)),
            settings=self._settings.vast,
            fire=ErrorNotices(sender).send,
        )
        await self._state.start()
        auctions = Auctions(
            self._exchange,
            notices,
            self._recorder,
            self._version,
            unwrapping=Unwrapping(resolver),
            state=self._state,
        )
        streams = BidStreams(auctions)
        server = self._assemble(
            {
                BID_SERVICE: BidServicer(auctions, streams, notices),
                VAST_SERVICE: VastServicer(resolver, lambda: self._exchange.privacy),
                STATE_SERVICE: StateServicer(
                    self._accounts, keep_ms=self._settings.state.keep_seconds * 1000
                ),
            }
        )
        self._certificates = certificates(self._settings.server.tls)
        self._port = _listen(server, self._settings.server, self._certificates)
        await server.start()
        self._running = _Running(server, streams, sender, (fetcher, documents))
        await self._say(health_pb2.HealthCheckResponse.SERVING)
        log.info("serving", address=self.address, bidders=self._exchange.bidders)

    async def stop(self, grace: float | None = None) -> None:
        """Drains: NOT_SERVING first, then running calls finish, then everything closes.

        Args:
            grace: seconds for running calls; the setting `server.drain_seconds` by default.
        """
        running = self._running
        if running is None:
            return
        grace = self._settings.server.drain_seconds if grace is None else grace
        log.info("draining", grace_seconds=grace)
        await self._health.enter_graceful_shutdown()
        running.streams.drain()
        await running.server.stop(grace)
        await running.streams.close()
        await running.sender.close(grace)
        for fetcher in running.fetchers:
            await fetcher.close()
        await self._exchange.close()
        await self._state.close()
        await self._accounts.backend.close()
        if self._recorder is not None:
            await self._recorder.stop()
        log.info("stopped")

    def change(self, settings: Settings) -> None:
        """Puts other settings in force, for auctions that begin from now on.

        Raises:
            ConfigError: a setting is wrong; all stays as it was.
        """
        waiting = self._exchange.change(settings)
        log.info("settings changed", bidders=self._exchange.bidders)
        if waiting:
            log.warning("settings that wait for a restart", sections=waiting)

    def renew_certificates(self) -> None:
        """Takes up what the files of certificates hold now, from the next connection on.

        Raises:
            ConfigError: one is wrong; our own, or all of the bidders, stay as they were.
        """
        ours = self._certificates
        try:
            if ours is not None and ours.renew():
                log.info("certificates renewed", files=[str(file) for file in ours.files])
        finally:
            if renewed := self._exchange.renew_certificates():
                log.info("certificates of bidders renewed", bidders=renewed)

    async def wait(self) -> None:
        """Returns when the server has stopped."""
        if self._running is not None:
            await self._running.server.wait_for_termination()

    async def __aenter__(self) -> Self:
        """Starts."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stops."""
        await self.stop()

    def _documents(self) -> GuardedFetcher:
        """What VAST documents are fetched by: connections of their own."""
        return GuardedFetcher(
            AddressGuard(self._settings.guard),
            connections=self._settings.vast.max_connections,
            host_connections=self._settings.vast.host_connections,
            host_waiting=self._settings.vast.host_waiting,
        )

    def _assemble(self, servicers: Mapping[ServiceDescriptor, object]) -> grpc.aio.Server:
        settings = self._settings.server
        server = grpc.aio.server(
            options=[
                # Up to the limit and somewhat over it we refuse by ourselves, with details; far
                # beyond it gRPC drops the message before it is all here.
                ("grpc.max_receive_message_length", 2 * settings.max_message_bytes),
                ("grpc.max_send_message_length", settings.max_message_bytes),
                ("grpc.so_reuseport", 0),  # a second server on the port is an error, no surprise
            ]
        )
        handlers = [bind(service, each, self._gate) for service, each in servicers.items()]
        handlers += [bind(service, object(), self._gate) for service in UNBUILT]
        server.add_generic_rpc_handlers(handlers)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        if settings.reflection:
            services = [service.full_name for service in (*BUILT, *UNBUILT)]
            names = [*services, health.SERVICE_NAME, reflection.SERVICE_NAME]
            reflection.enable_server_reflection(names, server, descriptor_pool.Default())
        return server

    async def _say(self, status: "health_pb2.HealthCheckResponse.ServingStatus") -> None:
        """Tells of all but StateService, whose health is that of its store."""
        for name in ("", BID_SERVICE.full_name, VAST_SERVICE.full_name):
            await self._health.set(name, status)


@dataclass(frozen=True, slots=True)
class _Running:
    """What a server has while it listens, in the order in which it ends."""

    server: grpc.aio.Server
    streams: BidStreams
    sender: NoticeSender
    fetchers: Sequence[GuardedFetcher]


def _accounts(settings: StateSettings) -> Accounts:
    return Accounts.over(
        store_of(settings),
        fail_policy=_FAIL_POLICIES[settings.fail_policy],
        keep_ms=settings.keep_seconds * 1000,
        ttl_ms=settings.reservation_seconds * 1000,
    )


_FAIL_POLICIES = {
    "open": FailPolicy.FAIL_POLICY_FAIL_OPEN,
    "closed": FailPolicy.FAIL_POLICY_FAIL_CLOSED,
}


def _recorder(settings: RecordSettings, version: str) -> Recorder | None:
    if settings.file is None:
        return None
    return Recorder(RecordWriter(settings.file, settings.max_bytes, settings.keep), version)


def _listen(
    server: grpc.aio.Server, settings: ServerSettings, certificates: Certificates | None
) -> int:
    _check_free(settings.listen)
    try:
        if certificates is None:
            return server.add_insecure_port(settings.listen)
        return server.add_secure_port(settings.listen, certificates.credentials())
    except RuntimeError:
        raise _unbound(settings.listen, "as gRPC told on standard error") from None


def _check_free(listen: str) -> None:
    """Tells first why an address can't be bound: gRPC would do so in a line of its own log.

    Raises:
        ConfigError: nobody could bind it. What only gRPC may find wrong is left to it.
    """
    if listen.startswith("unix:"):
        folder = Path(listen.removeprefix("unix:").removeprefix("//")).parent
        if not folder.is_dir():
            raise _unbound(listen, f"there is no folder {folder}")
        if not os.access(folder, os.W_OK):
            raise _unbound(listen, f"the folder {folder} can't be written")
        return
    host, _, port = listen.rpartition(":")
    reason = None
    for name in _ALL_ADDRESSES.get(host, (host.strip("[]"),)):
        try:
            addresses = socket.getaddrinfo(name, int(port), type=socket.SOCK_STREAM)
        except socket.gaierror:
            reason = reason or "there is no such host"
            continue
        for family, kind, _, _, address in addresses:
            found = _fault(family, kind, address)
            if found is None:
                return  # one is enough for gRPC
            reason = reason or found
    raise _unbound(listen, reason or "it has no address")


_ALL_ADDRESSES = {"[::]": ("::", "0.0.0.0")}  # noqa: S104 - what gRPC takes it for
_FAULTS = {
    errno.EADDRINUSE: "it is in use",
    errno.EACCES: "ports below 1024 need more rights",
    errno.EADDRNOTAVAIL: "this machine has no such address",
}


def _fault(family: int, kind: int, address: tuple[Any, ...]) -> str | None:
    """Why an address can't be bound; None: it can, as far as we know."""
    try:
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return _FAULTS.get(error.errno or 0, error.strerror)
    return None


def _unbound(listen: str, reason: str) -> ConfigError:
    return ConfigError(
        f"server.listen: can't bind {listen}: {reason}; expected a free host:port, "
        "by server.listen or --listen"
    )
