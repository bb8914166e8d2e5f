"""Everything that XSP calls: bidders over HTTP, gRPC, from a file or in process."""

from xsp_server.upstream.bidder import Bidder
from xsp_server.upstream.fanout import FanOut, OnLate, Round
from xsp_server.upstream.file import FileTransport
from xsp_server.upstream.groups import (
    First,
    Group,
    GroupSettings,
    Parallel,
    Waterfall,
    build_group,
)
from xsp_server.upstream.grpc import GrpcTransport
from xsp_server.upstream.grpc_stream import GrpcStreamTransport
from xsp_server.upstream.http import HttpTransport
from xsp_server.upstream.memory import MemoryTransport
from xsp_server.upstream.openrtb_upstream import OpenRtbUpstream, Upstream
from xsp_server.upstream.policies import PolicySettings
from xsp_server.upstream.session import Session, SessionContext
from xsp_server.upstream.transport import (
    Ask,
    Begun,
    Transport,
    TransportError,
    UpstreamConfig,
)
from xsp_server.upstream.upstream_session import (
    Budget,
    InMemoryState,
    SessionState,
    Spend,
    UpstreamSession,
)
from xsp_server.upstream.vast_upstream import VastSettings, VastUpstream

__all__ = [
    "Ask",
    "Begun",
    "Bidder",
    "Budget",
    "FanOut",
    "FileTransport",
    "First",
    "Group",
    "GroupSettings",
    "GrpcStreamTransport",
    "GrpcTransport",
    "HttpTransport",
    "InMemoryState",
    "MemoryTransport",
    "OnLate",
    "OpenRtbUpstream",
    "Parallel",
    "PolicySettings",
    "Round",
    "Session",
    "SessionContext",
    "SessionState",
    "Spend",
    "Transport",
    "TransportError",
    "Upstream",
    "UpstreamConfig",
    "UpstreamSession",
    "VastSettings",
    "VastUpstream",
    "Waterfall",
    "build_group",
]
