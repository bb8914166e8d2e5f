"""Everything that XSP calls: bidders over HTTP, gRPC or in process, asked under one deadline."""

from xsp_server.upstream.bidder import Bidder
from xsp_server.upstream.fanout import FanOut
from xsp_server.upstream.grpc import GrpcTransport
from xsp_server.upstream.http import HttpTransport
from xsp_server.upstream.transport import Ask, Transport, TransportError, UpstreamConfig

__all__ = [
    "Ask",
    "Bidder",
    "FanOut",
    "GrpcTransport",
    "HttpTransport",
    "Transport",
    "TransportError",
    "UpstreamConfig",
]
